"""The folder of images that a run reads: as it is, unpacked from shards, or drawn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.images import image_format
from edge_effnet.io.files import scratch_folder
from edge_effnet.io.text import brief
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import CLASS_NAMES, SAMPLE, write_folder
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.halves import find_halves
from quant.data.readers.shards import CLASS_LIST, ShardImages, find_shards, listed_classes
from quant.thresholds import DEFAULT_CALIBRATION, SAMPLE_CALIBRATION, SAMPLE_EVALUATION

_LONGEST_NAME = 255
"""Bytes of a file's name, on every usual file system."""


@contextmanager
def image_folder(
    data: str | Path, preprocess: Preprocess, progress: Progress, *, calibration: int = 0, selection: int = 0
) -> Iterator[Path]:
    """Give the folder that `data` names; for shards and for `SAMPLE`, one that vanishes at the end.

    Args:
        data: a folder, whose `train/` and `val/` may hold WebDataset shards, or `SAMPLE`.
        preprocess: of the network; pictures are drawn at the side that it scales images to.
        progress: told of the drawing.
        calibration: pictures to draw to calibrate on, beside those to evaluate on; of the default number, half.
        selection: pictures more to choose float layers on.

    Raises:
        InputError: a damaged shard, a sample that is no picture, or a class name that is no name of a folder.
        MachineError: no room for temporary files.
    """
    if data != SAMPLE and not any(map(find_shards, _halves(Path(data)).values())):
        yield Path(data)
        return
    with ExitStack() as stack:
        with explained_writes(Path(tempfile.gettempdir())):
            folder = stack.enter_context(scratch_folder()) / SAMPLE
        if data == SAMPLE:
            _draw(folder, preprocess.resize, calibration, selection, progress)
        else:
            folder.mkdir()
            _unpack(Path(data), folder, progress)
        yield folder


def _draw(folder: Path, size: int, calibration: int, selection: int, progress: Progress) -> None:
    counts = {"val": SAMPLE_EVALUATION}
    if calibration == DEFAULT_CALIBRATION and not selection:
        calibration = SAMPLE_CALIBRATION
    if calibration:
        counts["calibration"] = max(calibration, len(CLASS_NAMES)) + selection
    with progress.stage("Drawing", sum(counts.values())) as advance:
        workers = os.cpu_count() or 1
        write_folder(folder, split_counts=counts, size=size, workers=workers, progress=lambda *_: advance(1))


def _halves(data: Path) -> dict[str, Path]:
    """Folders of `train` and `val`, by whatever names."""
    halves = find_halves(data) if data.is_dir() else None
    named = {"train": halves.train, "val": halves.val} if halves else {}
    return {half: folder for half, folder in named.items() if folder is not None}


def _unpack(data: Path, folder: Path, progress: Progress) -> None:
    """Write the samples of both halves' shards as files in class folders, with `classes.txt` beside them."""
    names = listed_classes(data)
    for half, shards in _halves(data).items():
        images = ShardImages(find_shards(shards), class_names=names, progress=progress)
        names = images.class_names
        _require_folder_names(images, data / CLASS_LIST)
        (folder / CLASS_LIST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        with progress.stage(f"Unpacking {half}", len(images)) as advance, explained_writes(folder):
            for item in images.items():
                place = folder / half / names[item.label]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{item.number:09d}.{image_format(BytesIO(item.data), item.name)}").write_bytes(item.data)
                advance(1)


def _require_folder_names(images: ShardImages, listed: Path) -> None:
    """Refuse class names that no folder can have, or that would be passed by as hidden."""
    for name in images.class_names:
        if "/" in name or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
            raise InputError(
                f"{images.first_members.get(name, listed)}: class name {brief(repr(name))} cannot be the name of a "
                f"folder (no '/', no '.' first, at most {_LONGEST_NAME} bytes); rename it."
            )
