"""The job folder: what a device is asked to do, complete in itself (docs/device.md, job.schema.json)."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.device.remote import Settings
from edge_effnet.errors import InputError
from edge_effnet.images import quiet_pillow
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.common.atomic_io import atomic_folder, explained_writes
from quant.common.findings import Finding, finding
from quant.common.json_io import read_json
from quant.common.overwrite import Kind, require_no_image, require_replaceable
from quant.common.progress import NoProgress, Progress
from quant.common.subsample import subsample
from quant.data.batches import iterate_pixels
from quant.data.readers.label_file import ImageOptions
from quant.data.split import ImageRecord
from quant.metrics.metrics import wilson_interval
from quant.pipeline.handed_over import Given, judged_images
from quant.program.host import check_threads

CHUNK = 64
"""Images a file: some 10 MB at 224 pixels, what a dropped connection costs at most."""

# It names every image; a million of them stay below this.
_MAX_JOB_BYTES = 256 * 1024 * 1024

_FILE = re.compile(r"model\.pte|pixels-\d+\.u8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job folder on this machine."""

    folder: Path
    values: dict[str, Any]
    """Content of job.json."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits; the same program, images and settings have the same."""
        return str(self.values["id"])

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file of the folder, job.json last: it is what starts the work."""
        pixels = {entry["file"]: entry["sha256"] for entry in self.values["pixels"]["files"]}
        job = hashlib.sha256((self.folder / "job.json").read_bytes()).hexdigest()
        return {"model.pte": self.values["program"]["sha256"], **pixels, "job.json": job}

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.values["photographs"])

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum((self.folder / name).stat().st_size for name in self.files)


def write_job(
    folder: Path, artifact: Artifact, images: Sequence[ImageRecord], settings: Settings, progress: Progress
) -> Job:
    """Decode images and write a job into an empty folder.

    Raises:
        InputError: an image that cannot be read, or an artifact that names no ExecuTorch.
        MachineError: no room for the folder.
    """
    manifest, prepared = artifact.manifest, artifact.preprocess
    embedded = manifest["input"]["dtype"] == "uint8"
    if "executorch" not in manifest["versions"]:
        raise InputError(f"{artifact.folder}: its manifest names no version of ExecuTorch; regenerate the artifact.")
    with explained_writes(folder):
        program = artifact.program.read_bytes()
        (folder / "model.pte").write_bytes(program)
        files = _write_pixels(folder, artifact, images, progress)
        values: dict[str, Any] = {
            "schema": 1,
            "program": {
                "file": "model.pte",
                "sha256": hashlib.sha256(program).hexdigest(),
                "bytes": len(program),
                "backend": manifest["backend"],
                "executorch": manifest["versions"]["executorch"],
            },
            "input": manifest["input"],
            "output": {"shape": manifest["output"]["shape"]},
            "normalize": None if embedded else {"mean": list(prepared.mean), "std": list(prepared.std)},
            "pixels": {"side": prepared.crop, "chunk": CHUNK, "files": files},
            "photographs": [{"name": image.name, "sha256": image.sha256} for image in images],
            "reruns": subsample(len(images), settings.rerun_images) * settings.reruns,
            "threads": settings.threads,
            "warmup": settings.warmup,
            "repeats": settings.repeats,
            "loads": settings.loads,
        }
        text = json.dumps(values, sort_keys=True, ensure_ascii=True)
        complete = {"id": hashlib.sha256(text.encode()).hexdigest()[:16], **values}
        (folder / "job.json").write_text(json.dumps(complete, indent=1) + "\n")
    return Job(folder=folder, values=complete)


def _write_pixels(
    folder: Path, artifact: Artifact, images: Sequence[ImageRecord], progress: Progress
) -> list[dict[str, Any]]:
    entries = []
    with progress.stage("Reading", len(images)) as advance, quiet_pillow():
        chunks = iterate_pixels([p.path for p in images], artifact.preprocess, batch_size=CHUNK)
        for index, pixels in enumerate(chunks):
            data, name = pixels.tobytes(), f"pixels-{index:04d}.u8"
            (folder / name).write_bytes(data)
            entries.append({"file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
            advance(len(pixels))
    return entries


def _job_files(folder: Path) -> set[str]:
    """Files that a job lists, of whichever version; a `ValueError` where it is none."""
    values = read_json(folder / "job.json", limit=_MAX_JOB_BYTES)
    try:
        files = [values["program"]["file"], *(entry["file"] for entry in values["pixels"]["files"])]
        ours = type(values["schema"]) is int and all(_FILE.fullmatch(name) for name in files)
    except (KeyError, TypeError) as error:
        raise ValueError("job.json: lists no files of a job") from error
    if not ours:
        raise ValueError("job.json: lists files that no job has")
    return set(files)


JOB = Kind(name="a job", index="job.json", files=_job_files)


def limited(images: Sequence[ImageRecord], limit: int | None) -> Sequence[ImageRecord]:
    """Take at most so many images, in turn from each class and evenly spread within it.

    The same images come out whenever the same go in: an interrupted run finds its own again.

    Raises:
        InputError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: need at least 1 image.")
    if limit is None or limit >= len(images):
        return images
    classes: dict[int | None, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        classes[image.label].append(index)
    groups = list(classes.values())
    # Class after class gets one more, until there are `limit`.
    turns = sorted((turn, group) for group, indices in enumerate(groups) for turn in range(len(indices)))
    quota = Counter(group for _, group in turns[:limit])
    chosen: list[int] = []
    for group, taken in quota.items():
        indices = groups[group]
        chosen += (indices[(2 * k + 1) * len(indices) // (2 * taken)] for k in range(taken))
    return [images[i] for i in sorted(chosen)]


def limit_findings(taken: int, total: int) -> tuple[Finding, ...]:
    """Say what the limit costs; nothing where all were taken."""
    if taken == total:
        return ()
    # Where shares usually are: nothing was measured yet.
    narrow, wide = (100 * (high - low) for low, high in (wilson_interval(0.95, count) for count in (total, taken)))
    message = (
        f"{taken} of {total} images (--limit): near 95 %, a share's 95 % interval is {wide:.1f} points wide "
        f"instead of {narrow:.1f}."
    )
    return (finding("images-fewer", message),)


def prepare_job(
    folder: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    limit: int | None = None,
    threads: int = 1,
    image_options: ImageOptions | None = None,
    progress: Progress | None = None,
) -> Job:
    """Write a job folder, whole or not at all.

    Args:
        folder: the artifact.
        data: images, as for `quant.pipeline.check.check`.
        out: where to; a job folder that is there is replaced.
        limit: take fewer images, evenly of each class.
        threads: of the device's runtime.
        image_options: how images and labels are read.
        progress: told of the images decoded.

    Raises:
        InputError: something given cannot be used, something else stands at `out` or in it, or it lies among the
            images.
        MachineError: the disk refuses.
    """
    progress, out = progress or NoProgress(), Path(out)
    check_threads(threads)
    require_replaceable(out, (JOB,))
    require_no_image(out, data)
    artifact = open_artifact(Path(folder))
    artifact.require_images()
    with judged_images(artifact, Given(data=data), image_options, progress) as split, atomic_folder(out) as temporary:
        images = limited(split.evaluation, limit)
        job = write_job(temporary, artifact, images, Settings(threads=threads), progress)
        # Minutes have passed.
        require_replaceable(out, (JOB,))
    return Job(folder=out, values=job.values)
