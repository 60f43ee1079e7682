"""One row of the table of tasks: what a network's outputs mean, and what they are held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from edge_effnet.errors import InputError
from quant.data.classes import ANY
from quant.data.split import ImageRecord
from quant.metrics.evaluate import Accuracy, Fidelity, labels_of, limited_sqnr_db
from quant.metrics.metrics import CONFIDENCE, adjusted_interval, decimals, same_class
from quant.thresholds import MAX_DROP_POINTS

CLASS, LABELS, NUMBERS = "class", "labels", "numbers"

EACH = -1
"""Of `Task.folders`: as many as the network has outputs."""


class Figured(Protocol):
    """What has figures as fields, and others by key."""

    @property
    def more(self) -> Mapping[str, float]:
        """Those of the task."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the tables: one figure of each network."""

    key: str
    """Field or key of `more` of an `Accuracy` or a `Fidelity`, and of the object that `--json` prints."""
    title: str
    factor: float = 100.0
    digits: int | None = None
    """Decimals; None: as many as the images carry."""

    @property
    def name(self) -> str:
        """The title without its unit."""
        return self.title.partition(",")[0]

    def value(self, *figures: Figured | None) -> float | None:
        """The figure of the first that has it; None where none does."""
        for each in figures:
            found = None if each is None else getattr(each, self.key, each.more.get(self.key))
            if found is not None:
                return float(found)
        return None

    def text(self, value: float | None, images: int | None = None) -> str:
        """The figure as tables show it, of so many images."""
        digits = decimals(images) if self.digits is None else self.digits
        return "-" if value is None else f"{self.factor * value:.{digits}f}"


SQNR = Row(key="sqnr_db", title="SQNR, dB", factor=1.0, digits=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PerImage:
    """What one network's answers are beside another's, image by image."""

    kept: torch.Tensor
    """bool [N]: whether the answer is the same."""
    lost: torch.Tensor
    """float64 [N]: its mean is the share that `--max-drop` bounds; without targets, what is expected to be lost."""
    sure: torch.Tensor | None = None
    """bool [N]: whether everything is kept that float is sure of; None where targets tell, or nothing is sure."""

    def of(self, rows: torch.Tensor) -> PerImage:
        """Some of the images, int64 [n]."""
        sure = None if self.sure is None else self.sure[rows]
        return PerImage(kept=self.kept[rows], lost=self.lost[rows], sure=sure)

    @property
    def drop(self) -> float:
        """Share that `--max-drop` bounds: lost, or of what float is sure of, whichever is more."""
        return max(self.share, 0.0 if self.sure is None else 1.0 - self.sure.double().mean().item())

    @property
    def share(self) -> float:
        """Lost on average."""
        return self.lost.mean().item()

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Of `share`, two-sided."""
        squares = self.lost.square().sum().item() + 1.0
        return adjusted_interval(self.lost.sum().item(), squares, len(self.lost), confidence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a network is for. Functions of outputs take them as `view` gives them, [N, outputs] float32."""

    name: str
    """As `--task` takes it."""
    summary: str
    """One line for the documentation."""
    targets: str
    """What an image is labelled with: `CLASS`, one of several (`ImageRecord.label`); `LABELS`, 0 or 1 for each
    output, or `NUMBERS`, one for each (`ImageRecord.targets`)."""
    kinds: tuple[str, ...]
    """What a program may put out (`quant.lower.output`), the default first."""
    rows: tuple[Row, ...]
    """Figures, in the order of the tables."""
    bounded: tuple[str, ...]
    """Keys of those that `--max-drop` bounds where there are targets; that of `PerImage.lost` first."""
    signal: str
    """Key of the one that shows whether float sees anything at all."""
    accuracy: Callable[[torch.Tensor, torch.Tensor | None], Accuracy]
    """Of outputs and targets."""
    fidelity: Callable[[torch.Tensor, torch.Tensor], Fidelity]
    """Of float's outputs and a program's; agreement is the share of `PerImage.kept`."""
    floors: Mapping[str, float]
    """Least figures of a fidelity, by key: a program below one has collapsed."""
    signal_least: float = 0.0
    """What that has to be above, whatever shuffled targets reach."""
    exclusive: bool = False
    """Whether the largest output is the answer: figures of classes and margins are made then."""
    column_added: bool = False
    """Whether `view` puts the other answer's logit, 0, before the one output."""
    folders: int | None = None
    """Class folders that there have to be: so many, as many as outputs (`EACH`), or any number
    (`ANY`); None where folders say nothing."""
    threshold: float | None = None
    """Probability from where an output says yes; None where outputs are no probabilities."""
    per_image: Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], PerImage] | None = None
    """Of float's outputs, a program's and the targets; None of an exclusive task."""
    constant: Callable[[torch.Tensor], bool] | None = None
    """Whether outputs say the same of every image; likewise."""
    answers: Callable[[torch.Tensor, Sequence[str], Sequence[str]], list[str]] | None = None
    """Each answer in words, of outputs, their names and the images' names; likewise."""
    each_output: Callable[..., list[dict[str, Any]]] | None = None
    """Figures output by output, of float's outputs, a program's, targets and names; None where there are none."""
    expected: str = ""
    """What is expected to be lost where there are no targets."""
    max_drop: float = MAX_DROP_POINTS
    """Points that `--max-drop` allows unless it is given."""
    same: str = "answer"
    """What an image keeps that agrees."""

    def with_threshold(self, threshold: float | None) -> Task:
        """Return the task with another threshold.

        Raises:
            InputError: no probability between 0 and 1, or a task without one.
        """
        if threshold is None:
            return self
        if self.threshold is None:
            raise InputError(f"--threshold {threshold:g}: --task {self.name} has none; leave it out.")
        if not 0.0 < threshold < 1.0:
            raise InputError(f"--threshold {threshold:g}: need a probability between 0 and 1.")
        return replace(self, threshold=threshold)

    def row(self, key: str) -> Row:
        """The row of a figure."""
        return next(row for row in self.rows if row.key == key)

    @property
    def figure(self) -> Row:
        """What `--max-drop` bounds first where there are targets."""
        return self.row(self.bounded[0])

    @property
    def offset(self) -> float:
        """Logit from where an output says yes."""
        return 0.0 if self.threshold is None else math.log(self.threshold / (1.0 - self.threshold))

    def view(self, logits: torch.Tensor) -> torch.Tensor:
        """What figures are made of: logits with the threshold at 0; of a binary task, those of both answers."""
        shifted = logits - self.offset if self.offset else logits
        return torch.cat([torch.zeros_like(shifted), shifted], dim=1) if self.column_added else shifted

    def logits(self, viewed: torch.Tensor) -> torch.Tensor:
        """Inverse of `view`."""
        return (viewed[:, 1:] if self.column_added else viewed) + self.offset

    def kept(self, reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Which images have the same answer, bool [N]."""
        if self.per_image is None:
            return same_class(reference, other)
        return self.per_image(reference, other, None).kept

    def class_folders(self, outputs: int) -> int | None:
        """How many class folders images have to lie in, as `quant.data.split` takes it."""
        return outputs if self.folders == EACH else self.folders

    def targets_of(self, images: Sequence[ImageRecord]) -> torch.Tensor | None:
        """Classes, int64 [N], or numbers, float64 [N, outputs]; None where an image has none.

        Classes that only group images say nothing where there is one, or each has one image.
        """
        if self.targets == CLASS:
            labels = labels_of(images)
            groups = len(images) if labels is None else len(labels.unique())
            return None if self.folders == ANY and groups in (1, len(images)) else labels
        found = [image.targets for image in images]
        return None if any(each is None for each in found) else torch.tensor(found, dtype=torch.float64)

    def to_manifest(self) -> dict[str, Any]:
        """Of a manifest's `task`."""
        return {"name": self.name, **({} if self.threshold is None else {"threshold": self.threshold})}


def centred_fidelity(reference: torch.Tensor, other: torch.Tensor, kept: torch.Tensor, **more: float) -> Fidelity:
    """Fidelity of outputs [N, outputs] that keep the answer of the images `kept`, bool [N].

    The SQNR is that of what differs from image to image: an output's mean, which every image shares, is no signal.
    """
    mean = reference.double().mean(dim=0) if len(reference) > 1 else 0.0
    sqnr_db = limited_sqnr_db(reference.double() - mean, other.double() - mean)
    return Fidelity(agreement=kept.double().mean().item(), sqnr_db=sqnr_db, more=more)
