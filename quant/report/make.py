"""`edge-effnet report`: a page of artifact folders, written where it does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.common.atomic_io import require_writable, write_atomically
from quant.common.progress import NoProgress, Progress
from quant.data.cleaning import sha256_of_image
from quant.data.source import image_folder
from quant.data.split import ImageRecord
from quant.report.comparison import Row, compared, opened, render_comparison
from quant.report.facts import facts_of
from quant.report.page import GENERATOR
from quant.report.single import remade_report, shown_flips

DEFAULT_OUT = "report.html"

# Of pages by `quant.report.page`; it stands before the styles.
_MARK = f'name="generator" content="{GENERATOR}"'.encode()
_HEAD_BYTES = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeReport:
    """What was written."""

    page: Path
    rows: tuple[Row, ...]
    """Of a comparison; empty for the report of one artifact."""
    missing: tuple[str, ...]
    """Images that changed class and have no picture: not given, not found, or another file by now."""


def make_report(
    folders: Sequence[str | Path],
    *,
    data: str | Path | None = None,
    out: str | Path = DEFAULT_OUT,
    progress: Progress | None = None,
) -> MadeReport:
    """Write a page: of one artifact its report again, of several (or a run over several backends) a comparison.

    Args:
        folders: artifacts, and folders of artifacts that a run over several backends made.
        data: images that the artifact was judged on, for thumbnails; or `edge_effnet.samples.SAMPLE`.
        out: the page; a report that stands there is replaced.
        progress: told of what takes long.

    Raises:
        InputError: no artifact, a damaged one, something in the way of the page, or images for a comparison.
        MachineError: full or read-only disk, no permission.
    """
    page = Path(out)
    _require_free(page)
    paths = [Path(folder) for folder in folders]
    if len(paths) == 1 and not (paths[0] / "fleet.json").is_file():
        artifact = open_artifact(paths[0])
        missing = _write_single(artifact, page, data, progress or NoProgress())
        return MadeReport(page=page, rows=(), missing=missing)
    if data is not None:
        raise InputError("--data: images are shown in the report of one artifact; leave it out to compare several.")
    entries = opened(paths)
    write_atomically(page, render_comparison(entries, beside=page.parent))
    return MadeReport(page=page, rows=tuple(compared(entries, beside=page.parent)), missing=())


def _write_single(artifact: Artifact, page: Path, data: str | Path | None, progress: Progress) -> tuple[str, ...]:
    wanted = {flip.image for flip in shown_flips(facts_of(artifact.manifest).flips)}
    if data is None or not wanted:
        write_atomically(page, remade_report(artifact))
        return tuple(sorted(wanted))
    if not Path(data).is_dir() and data != SAMPLE:
        raise InputError(f"{data}: no such folder; --data takes the images that the artifact was evaluated on.")
    with image_folder(data, artifact.preprocess, progress) as folder:
        images = _same_images(artifact, folder, wanted)
        write_atomically(page, remade_report(artifact, images))
    return tuple(sorted(wanted - {image.name for image in images}))


def _same_images(artifact: Artifact, folder: Path, wanted: set[str]) -> list[ImageRecord]:
    """Those of the images that are still what the artifact was judged on."""
    images = []
    for listed in artifact.manifest["photographs"]["evaluation"]:
        path = folder / listed["name"]
        if listed["name"] in wanted and _lies_in(folder, path) and sha256_of_image(path) == listed["sha256"]:
            images.append(ImageRecord(path=path, name=listed["name"], label=None, sha256=listed["sha256"]))
    return images


def _lies_in(folder: Path, path: Path) -> bool:
    """Whether a file is there: a manifest may come from anybody, and nothing outside the folder is read for it."""
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # no name that a file can have: too long, NUL, links in a circle
        return False


def _require_free(page: Path) -> None:
    """Refuse a page that would damage an artifact or replace something else than a report."""
    require_writable(page)
    if any((page.resolve().parent / name).is_file() for name in ("manifest.json", "fleet.json")):
        raise InputError(f"{page}: lies in an artifact, whose files are signed; choose another --out.")
    if page.is_dir():
        raise InputError(f"{page}: is a folder; --out names a file, such as {DEFAULT_OUT}.")
    if page.exists() and not _is_report(page):
        raise InputError(f"{page}: is something other than a report; choose another --out.")


def _is_report(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return _MARK in file.read(_HEAD_BYTES)
