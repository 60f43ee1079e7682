"""The sample set as class folders, the layout that `quantize --data` and `edge-effnet train` read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edge_effnet.errors import InputError, MachineError
from edge_effnet.io.files import child_environment
from edge_effnet.samples.classes import CLASS_NAMES
from edge_effnet.samples.dataset import SPLITS, check_arguments, draw_jpeg, label_of

Progress = Callable[[int, int], None]
"""Called with the pictures written so far and the total."""

# `quantize` takes its calibration images from train/; the file name tells them from the training ones.
_PLACES = {"train": ("train", ""), "calibration": ("train", "calibration-"), "val": ("val", "")}

_WORKER = (
    "import json, sys; from edge_effnet.samples.folder import write_share; write_share(**json.loads(sys.argv[1]))"
)


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
        for split in split_counts:
            for index in range(len(CLASS_NAMES)):
                (partial / picture_path(split, index)).parent.mkdir(parents=True, exist_ok=True)
        total = sum(split_counts.values())
        written = _write if workers == 1 else _write_in_processes
        for done, _ in enumerate(written(partial, split_counts, size, seed, min(workers, total)), start=1):
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
            raise InputError(f"{count} images of {split}: need at least {len(CLASS_NAMES)}, one for each class.")
        check_arguments(split, count - 1, size, seed)
    if workers < 1:
        raise InputError(f"{workers} workers: need at least 1.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not an empty folder; name a new one or remove it.")


def _write(folder: Path, counts: dict[str, int], size: int, seed: int, step: int, first: int = 0) -> Iterator[None]:
    """Write every `step`-th picture from the `first` on."""
    pictures = [(split, index) for split, count in counts.items() for index in range(count)]
    for split, index in pictures[first::step]:
        data, _ = draw_jpeg(split, index, size, seed)
        (folder / picture_path(split, index)).write_bytes(data)
        yield


def write_share(folder: str, **share: Any) -> None:
    """Write one worker's part, arguments as for `_write`; a line on stdout for each picture."""
    for _ in _write(Path(folder), **share):
        sys.stdout.write("\n")
        sys.stdout.flush()


def _write_in_processes(folder: Path, counts: dict[str, int], size: int, seed: int, workers: int) -> Iterator[None]:
    """Draw in several processes, which import numpy and Pillow only, whatever the caller's main module does.

    Raises:
        MachineError: a worker failed; the message ends with its last line.
    """
    # One thread each: they share the cores already.
    environment = child_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    reader, writer = os.pipe()
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as complaints, os.fdopen(reader) as lines:
        try:
            with os.fdopen(writer, "wb") as theirs:  # the reader ends when the last worker has
                for first in range(workers):
                    share = {"counts": counts, "size": size, "seed": seed, "step": workers, "first": first}
                    # -P: a json.py in the user's current folder is none of the worker's modules.
                    command = [sys.executable, "-P", "-c", _WORKER, json.dumps({"folder": str(folder), **share})]
                    started.append(subprocess.Popen(command, stdout=theirs, stderr=complaints, env=environment))
            for _ in lines:
                yield
            codes = [worker.wait() for worker in started]
        finally:
            for worker in started:
                worker.kill()
                worker.wait()
        if any(codes):
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines() or ["no message"]
            raise MachineError(f"a drawing process ended with code {max(codes, key=abs)}: {said[-1]}")
