"""The sample set as class folders, the layout that `quantize --data` and `edge-effnet train` read."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_effnet.errors import InputError, MachineError
from edge_effnet.samples.classes import CLASS_NAMES
from edge_effnet.samples.dataset import SPLITS, check_arguments, draw_jpeg, label_of
from edge_effnet.samples.workers import run_workers

Progress = Callable[[int, int], None]
"""Called with the pictures written so far and the total."""

# `quantize` takes its calibration images from train/; the file name tells them from the training ones.
_PLACES = {"train": ("train", ""), "calibration": ("train", "calibration-"), "val": ("val", "")}

_REPORT = 8  # pictures between two reports of progress: about a quarter of a second


def picture_path(split: str, index: int) -> Path:
    """Where `write_folder` puts a picture, relative to its folder."""
    place, prefix = _PLACES[split]
    return Path(place) / CLASS_NAMES[label_of(index)] / f"{prefix}{index:05d}.jpg"


def write_folder(
    folder: Path,
    *,
    split_counts: dict[str, int],
    size: int,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write the first pictures of each split as `train/<class>/NNNNN.jpg` and `val/<class>/NNNNN.jpg`.

    The calibration split lies in `train/` too, as `train/<class>/calibration-NNNNN.jpg`. The files are the
    JPEGs that the pictures' cameras wrote: decoded, they are exactly what `draw` returns. `workers` processes
    draw (1: this one). The folder appears complete or not at all.

    Raises:
        InputError: a bad split, count, size, seed or number of workers, or the folder is not empty.
        MachineError: the disk is full or cannot be written, or a worker died.

    """
    _check(folder, split_counts, size, seed, workers)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        _make_folders(partial, split_counts)
        total, done = sum(split_counts.values()), 0
        for count in _written(partial, split_counts, size, seed, workers):
            done += count
            if progress is not None:
                progress(done, total)
        partial.replace(folder)
    except (OSError, MachineError) as error:
        raise MachineError(
            f"{folder}: cannot write the sample set ({error}); free space or write elsewhere."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(folder: Path, split_counts: dict[str, int], size: int, seed: int, workers: int) -> None:
    if not split_counts:
        raise InputError(f"no split to write; choose from {', '.join(SPLITS)}.")
    for split, count in split_counts.items():
        if count < len(CLASS_NAMES):
            raise InputError(f"{count} pictures of {split}: need at least {len(CLASS_NAMES)}, one for each class.")
        check_arguments(split, count - 1, size, seed)
    if workers < 1:
        raise InputError(f"{workers} workers: need at least 1.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not an empty folder; name a new one or remove it.")


def _make_folders(partial: Path, split_counts: dict[str, int]) -> None:
    for split in split_counts:
        for index in range(len(CLASS_NAMES)):
            (partial / picture_path(split, index)).parent.mkdir(parents=True, exist_ok=True)


def _written(partial: Path, split_counts: dict[str, int], size: int, seed: int, workers: int) -> Iterator[int]:
    """Write everything; yield how many pictures were written since the last time."""
    pictures = [(split, index) for split, count in split_counts.items() for index in range(count)]
    if workers == 1:
        yield from _write(partial, pictures, size, seed)
        return
    counts = list(split_counts.items())
    yield from run_workers(
        [
            {"folder": str(partial), "counts": counts, "share": [k, workers], "size": size, "seed": seed}
            for k in range(min(workers, len(pictures)))
        ]
    )


def _write(folder: Path, pictures: list[tuple[str, int]], size: int, seed: int) -> Iterator[int]:
    for start in range(0, len(pictures), _REPORT):
        batch = pictures[start : start + _REPORT]
        for split, index in batch:
            data, _ = draw_jpeg(split, index, size, seed)
            (folder / picture_path(split, index)).write_bytes(data)
        yield len(batch)


def write_share(*, folder: str, counts: list[tuple[str, int]], share: tuple[int, int], size: int, seed: int) -> None:
    """Write every n-th picture from the k-th on (`share` is k, n): one worker's part, counted on stdout."""
    first, step = share
    pictures = [(split, index) for split, count in counts for index in range(count)]
    for count in _write(Path(folder), pictures[first::step], size, seed):
        sys.stdout.write(f"{count}\n")  # one short write a line: the workers share one pipe
        sys.stdout.flush()
