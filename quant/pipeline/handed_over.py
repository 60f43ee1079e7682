"""Images handed over in Python, or in a file of arrays, as folders; and those that an artifact is judged on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_effnet.arrays import ARRAY_SUFFIXES, read_stacks
from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from quant.artifact.model import Artifact
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.cleaning import verifier
from quant.data.collect import Source
from quant.data.readers.in_memory import Wanted, is_in_memory, is_pair_of_arrays, write_images
from quant.data.readers.label_file import ImageOptions, LabelFile
from quant.data.source import image_folder
from quant.data.split import DataSplit, evaluation_images

_PLACES = {"data": "images", "calibration_data": "train", "evaluation_data": "val"}
"""Folders for what is handed over, by argument."""

_HALVES = {"calibration_data": ("train",), "evaluation_data": ("val", "test")}
"""Words in the names of a file's arrays, as MedMNIST and Keras have them; with val and test both, val judges."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Where a run's images are: folders, or anything that holds images."""

    data: Any
    calibration_data: Any = None
    evaluation_data: Any = None
    labels: Any = None
    """Of an array or a list in `data`, one each."""

    @property
    def in_memory(self) -> dict[str, Any]:
        """Those that are no folders, by argument."""
        sides = {name: getattr(self, name) for name in _PLACES}
        return {name: value for name, value in sides.items() if is_in_memory(value) or _is_array_file(value)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """The same with folders alone."""

    data: str | Path
    calibration_data: Path | None
    evaluation_data: Path | None
    labels: LabelFile | None
    """Of images that were handed over."""
    tensors: bool
    """Whether the files are network inputs rather than images."""


@contextmanager
def as_folders(given: Given, wanted: Wanted, progress: Progress) -> Iterator[Folders]:
    """Write down what was handed over, in a folder that vanishes at the end; folders are given as they are.

    Raises:
        InputError: something that holds no images, some without labels, or tensors beside images.
        MachineError: no room.
    """
    sides = given.in_memory
    with ExitStack() as stack:
        root = Path()
        if sides:
            with explained_writes(Path(tempfile.gettempdir())):
                root = stack.enter_context(scratch_folder())
        try:
            yield _written(given, _split(sides), root, wanted, progress)
        except InputError as error:
            # Nobody has seen the folder that the images were written to.
            raise InputError(str(error).replace(f"{root}/", "") if sides else str(error)) from error


def _is_array_file(data: Any) -> bool:
    return isinstance(data, str | Path) and Path(data).suffix.lower() in ARRAY_SUFFIXES and Path(data).is_file()


def _split(sides: Mapping[str, Any]) -> dict[str, Any]:
    """Read files of arrays, and take (calibration, evaluation) apart."""
    read = {name: read_stacks(Path(v)) if isinstance(v, str | Path) else v for name, v in sides.items()}
    data = read.get("data")
    if isinstance(data, tuple) and len(data) == len(_HALVES) and not is_pair_of_arrays(data):
        halves: dict[str, Any] = dict(zip(_HALVES, data, strict=True))
    elif isinstance(data, Mapping):
        halves = _halves_by_name(data)
    else:
        return read
    if halves and len(read) > 1:
        raise InputError("data: holds both sides already; leave calibration_data and evaluation_data out.")
    return halves or read


def _halves_by_name(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """One dict a side of `train_images`, `train_labels`, `val_images`, ... or `x_train`, ...; empty without."""
    found = {}
    for side, words in _HALVES.items():
        for word in words:
            names = {str(name): name.replace(word, "").strip("_") for name in arrays if word in str(name)}
            if len(names) > 1 and side not in found:
                found[side] = {short: arrays[name] for name, short in names.items()}
    return found if len(found) == len(_HALVES) else {}


def _written(given: Given, sides: Mapping[str, Any], root: Path, wanted: Wanted, progress: Progress) -> Folders:
    rows: list[tuple[str, tuple[str, ...]]] = []
    tensors, folders = set(), {}
    for name, value in sides.items():
        folder = folders[name] = root / _PLACES[name]
        labels = given.labels if name == "data" and is_in_memory(given.labels) else None
        found = write_images(value, folder, wanted, progress, labels=labels, what=name)
        rows += [(f"{folder.name}/{image}", label) for image, label in found.labels]
        tensors.add(found.tensors)
    if len(tensors) > 1:
        raise InputError("data: one side is preprocessed tensors, the other images; hand over one kind.")
    return Folders(
        data=folders.get("data") or (root if "data" in given.in_memory else given.data),
        calibration_data=folders.get("calibration_data") or _path(given.calibration_data),
        evaluation_data=folders.get("evaluation_data") or _path(given.evaluation_data),
        labels=LabelFile(path=Path("labels"), kind=wanted.kind, rows=tuple(rows)) if rows else None,
        tensors=tensors == {True},
    )


def _path(folder: Any) -> Path | None:
    return None if folder is None else Path(folder)


@contextmanager
def judged_images(
    artifact: Artifact, given: Given, options: ImageOptions | None, progress: Progress
) -> Iterator[DataSplit]:
    """Find the images to judge an artifact on; they exist until the end of the block.

    Raises:
        InputError: none, others than its classes, ones that it was fitted on, or tensors for an artifact that takes
            images or the other way round.
        MachineError: no room for temporary files.
    """
    task, preprocess, options = artifact.task, artifact.preprocess, options or ImageOptions()
    tensors, names = preprocess.takes_tensors, artifact.labels if artifact.labelled else None
    wanted = Wanted(preprocess=preprocess, kind=task.targets, names=names)
    with as_folders(given, wanted, progress) as handed:
        if given.in_memory and handed.tensors != tensors:
            taken = "preprocessed tensors" if tensors else "images"
            raise InputError(f"data: {artifact.folder} was made with {taken}; hand over the same.")
        with image_folder(handed.data, preprocess, progress) as folder:
            source = Source(
                data=folder,
                labels=handed.labels or options.read(task.targets),
                class_names=artifact.class_names if artifact.labelled and task.exclusive else None,
                num_classes=task.class_folders(len(artifact.labels)),
                output_names=names,
                outputs=len(artifact.labels),
                verify=None if tensors else verifier(preprocess.channels, progress),
                max_unusable=options.max_unusable / 100,
            )
            yield evaluation_images(source, calibrated_on=artifact.calibrated_on)
