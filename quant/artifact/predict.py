"""An artifact's answers for images: its program's, and float's beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.head import NONE
from quant.artifact.model import Artifact
from quant.common.progress import NoProgress, Progress
from quant.data.batches import Model
from quant.data.listing import image_suffixes, images_in
from quant.data.split import ImageRecord
from quant.lower.choices import require_runs_here
from quant.lower.output import SIGMOID
from quant.metrics.evaluate import collect_logits
from quant.metrics.tasks.embedding import EMBEDDING
from quant.metrics.tasks.task import Task
from quant.program.host import HostRuntime, LoadedProgram, check_threads
from quant.program.timing import input_for


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A class or label that a program gives an image, or one of its numbers."""

    name: str
    index: int
    probability: float
    """Softmax of the logits, 0..1; their sigmoid where the program puts that out, and of labels; of a regression the
    number itself."""
    float_probability: float
    """The same of float."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What an artifact makes of one image."""

    image: str
    task: Task
    pte: tuple[Answer, ...]
    """The likeliest classes of the program, likeliest first; of a multi-label one those above the threshold, of a
    regression all its numbers."""
    float: tuple[Answer, ...]
    """Those of the float network, by its probability; `probability` is the program's."""

    @property
    def agrees(self) -> bool | None:
        """Whether both give the same class, or the same labels; None of numbers."""
        if not (self.task.exclusive or self.task.threshold):
            return None
        given, others = ([answer.index for answer in answers] for answers in (self.pte, self.float))
        return given[0] == others[0] if self.task.exclusive else set(given) == set(others)

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        number = "value" if self.agrees is None else "probability"

        def row(answer: Answer) -> dict[str, Any]:
            ours, floats = (round(each, 6) for each in (answer.probability, answer.float_probability))
            return {"class": answer.name, "index": answer.index, number: ours, f"float_{number}": floats}

        rows = {"pte": [row(answer) for answer in self.pte], "float": [row(answer) for answer in self.float]}
        return {"photograph": self.image, "agrees": self.agrees, **rows}


def predict(
    artifact: Artifact,
    images: Sequence[str | Path],
    *,
    top: int = 5,
    threads: int = 1,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Run an artifact's two programs over images.

    Args:
        artifact: opened.
        images: files, or folders of them at any depth.
        top: classes of each image.
        threads: of the runtime.
        progress: told of the images done.

    Raises:
        InputError: no image, an unreadable one, or a program that puts out no classes or that this host does not run.
        MachineError: the runtime does not start.
    """
    if top < 1:
        raise InputError(f"--top {top}: need at least 1 class.")
    check_threads(threads)
    task = artifact.task
    if task is EMBEDDING:
        raise InputError(f"{artifact.folder}: the program puts out features (--head {NONE}), which name no class.")
    require_runs_here(artifact.manifest["backend"])
    paths = _found([Path(each) for each in images])
    records = [ImageRecord(path=path, name=str(path), label=None, sha256="") for path in paths]
    logits = _logits(artifact, records, threads, progress or NoProgress())
    numbers = {name: _numbers(artifact, found.double()) for name, found in logits.items()}

    def answers(name: str, row: int) -> tuple[Answer, ...]:
        return tuple(
            Answer(
                name=artifact.class_names[index],
                index=index,
                probability=numbers["pte"][row, index].item(),
                float_probability=numbers["float"][row, index].item(),
            )
            for index in _chosen(task, logits[name][row], top)
        )

    return [
        Prediction(image=record.name, task=task, pte=answers("pte", row), float=answers("float", row))
        for row, record in enumerate(records)
    ]


def _logits(
    artifact: Artifact, records: Sequence[ImageRecord], threads: int, progress: Progress
) -> dict[str, torch.Tensor]:
    """Of "pte" and "float", [N, outputs], as the task's `view` gives them."""
    with HostRuntime(threads) as runtime:

        def runner(program: LoadedProgram) -> Model:
            return lambda x: artifact.logits_of(
                program.name, runtime.run(program, input_for(program, x, artifact.preprocess))
            )

        programs = {name: runner(runtime.load(path, name)) for name, path in artifact.programs.items()}
        return collect_logits({}, records, artifact.preprocess, progress, programs=programs)


def _numbers(artifact: Artifact, viewed: torch.Tensor) -> torch.Tensor:
    """Probabilities of what a task's `view` shows, or a regression's numbers, [N, outputs]."""
    task = artifact.task
    if not (task.exclusive or task.threshold):
        return viewed
    logits = task.logits(viewed)
    if task.column_added:
        return torch.cat([(-logits).sigmoid(), logits.sigmoid()], dim=1)
    # Logits stand for classes that exclude each other, unless the program says that they do not.
    each_alone = not task.exclusive or artifact.output.kind == SIGMOID
    return logits.sigmoid() if each_alone else logits.softmax(dim=-1)


def _chosen(task: Task, viewed: torch.Tensor, top: int) -> list[int]:
    """Indices of the answers of one image, likeliest first; of numbers all."""
    if not (task.exclusive or task.threshold):
        return list(range(len(viewed)))
    # Stable: int8 logits tie, and the first of them is the program's answer.
    order = viewed.argsort(descending=True, stable=True)[:top].tolist()
    return order if task.exclusive else [index for index in order if viewed[index] > 0]


def _found(given: Sequence[Path]) -> list[Path]:
    """The files themselves, and all images below the folders."""
    found: list[Path] = []
    for path in given:
        if not path.exists():
            raise InputError(f"{path}: no such image; give image files, or folders of them.")
        images = images_in(path, recurse=True) if path.is_dir() else [path]
        if not images:
            raise InputError(f"{path}: no images ({image_suffixes()}) in it; give image files.")
        found += images
    if not found:
        raise InputError("no image: give image files, or folders of them.")
    return found
