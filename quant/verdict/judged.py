"""What outputs say against limits, and the images whose answer a program changed, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from quant.common.findings import Finding
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.per_class import ClassFigures, ConfusionChange, class_figures, confusion_changes
from quant.metrics.tasks.task import PerImage, Task
from quant.thresholds import CAUTION_CONFIDENCE
from quant.verdict.limits import Limits
from quant.verdict.verdict import (
    Changes,
    Compared,
    Drop,
    compare,
    fallen_behind,
    fallen_figures,
    few_calibration,
    has_collapsed,
    hold,
    near_limits,
    weak_evidence,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What float and a program put out for the same images, as the task's `view` gives it."""

    task: Task
    reference: torch.Tensor
    """Float's, [N, outputs]."""
    found: torch.Tensor
    """The program's."""
    targets: torch.Tensor | None
    images: Sequence[ImageRecord]
    names: Sequence[str]
    """Of classes, labels or outputs, by index."""
    temperature: float | None
    """As in `Evidence`."""
    calibration: int
    """Images that ranges were fitted on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Answers against limits."""

    float_accuracy: Accuracy
    pte_accuracy: Accuracy
    pte: Fidelity
    compared: Compared
    weak: tuple[Finding, ...]
    """Why a pass is to be taken with caution."""
    interval: tuple[float, float] | None
    """95 % interval of the share lost; None without targets."""
    changes: Changes | None
    """Of an exclusive task."""
    classes: tuple[ClassFigures, ...]
    confusion: tuple[ConfusionChange, ...]
    flips: tuple[Flip, ...]
    outputs: tuple[Mapping[str, Any], ...]
    """Figures output by output, where the task has such."""


def judge(answers: Answers, limits: Limits) -> Judged:
    """Compare a program's answers with float's, and with targets where there are some."""
    return _by_class(answers, limits) if answers.task.exclusive else _by_image(answers, limits)


def _by_class(answers: Answers, limits: Limits) -> Judged:
    task, labels, images = answers.task, answers.targets, answers.images
    outputs = (answers.reference, answers.found)
    before, after = (task.accuracy(found, labels) for found in outputs)
    pte = task.fidelity(*outputs)
    changes = Changes.of(*outputs, labels, temperature=answers.temperature)
    return Judged(
        float_accuracy=before,
        pte_accuracy=after,
        pte=pte,
        compared=compare(before, after, pte, limits, images=len(images), changes=changes, task=task),
        weak=weak_evidence(*outputs, labels, limits, calibration=answers.calibration, changes=changes, task=task),
        interval=None if labels is None else changes.interval,
        changes=changes,
        classes=class_figures(*outputs, labels, answers.names),
        confusion=confusion_changes(*outputs, labels, answers.names),
        flips=class_flips(*outputs, images, answers.names),
        outputs=(),
    )


def _by_image(answers: Answers, limits: Limits) -> Judged:
    task, targets, images = answers.task, answers.targets, answers.images
    outputs = (answers.reference, answers.found)
    before, after = (task.accuracy(found, targets) for found in outputs)
    pte = task.fidelity(*outputs)
    assert task.per_image is not None
    found = task.per_image(*outputs, targets)
    drops = fallen_figures(task, before, after, limits.max_drop) or _expected(task, pte, found, limits.max_drop)
    likely, figure = found.interval(CAUTION_CONFIDENCE)[1], task.expected if targets is None else task.figure.name
    return Judged(
        float_accuracy=before,
        pte_accuracy=after,
        pte=pte,
        compared=hold(_collapse(task, pte, len(images)), pte, [*drops, *fallen_behind(pte, limits)], limits),
        weak=(
            *near_limits(likely, figure, pte.agreement, len(images), limits),
            *few_calibration(answers.calibration),
        ),
        interval=None if targets is None else found.interval(),
        changes=None,
        classes=(),
        confusion=(),
        flips=answer_flips(task, *outputs, found.kept, images, answers.names),
        outputs=() if task.each_output is None else tuple(task.each_output(*outputs, targets, answers.names)),
    )


def _collapse(task: Task, pte: Fidelity, images: int) -> str | None:
    if not has_collapsed(pte, images, task):
        return None
    rows = {row: least for key, least in task.floors.items() for row in [task.row(key)]}
    said = [f"{row.title} {row.text(row.value(pte))} (at least {row.text(least)})" for row, least in rows.items()]
    return f"collapsed: {'; '.join(said)}; below that nothing else counts"


def _expected(task: Task, pte: Fidelity, found: PerImage, limit: float) -> list[Drop]:
    """What is expected to be lost where there are no targets."""
    lost, most = 100.0 * found.share, 100.0 * found.interval()[1]
    sentence = (
        f"{task.expected} expected to lose {lost:.2f} points ({most:.2f} at most), limit {limit:.2f}; "
        f"{100 * pte.agreement:.2f} % keep float's {task.same}"
    )
    drops = [("accuracy-drop", lost, sentence)]
    if found.sure is not None:
        kept = 100.0 * found.sure.double().mean().item()
        sentence = f"{kept:.2f} % keep all that float is sure of, limit {100 - limit:.2f}"
        drops.append(("sure-images-changed", 100.0 - kept, sentence))
    return drops


TOP = 3
"""Classes of each network that are kept of an image that changed class."""

Ranked = tuple[str, float]
"""A class and its probability, 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """An image that the .pte gives another answer than float."""

    image: str
    label: str | None
    """Its true class, or its labels; None where it has none."""
    float_class: str
    """Float's answer."""
    pte_class: str
    float_probability: float | None
    """Softmax of float's class in float's logits, 0..1; None of a task whose answers have no probability."""
    pte_probability: float | None
    """Softmax of the .pte's class in the .pte's logits, 0..1; likewise."""
    float_top: tuple[Ranked, ...] = ()
    """Float's first classes, the likeliest first; empty of other tasks, and in manifests of earlier versions."""
    pte_top: tuple[Ranked, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {
            "photograph": self.image,
            "label": self.label,
            "float": self.float_class,
            "pte": self.pte_class,
            "float_probability": _rounded(self.float_probability),
            "pte_probability": _rounded(self.pte_probability),
            **{
                key: [[name, _rounded(probability)] for name, probability in ranked]
                for key, ranked in (("float_top", self.float_top), ("pte_top", self.pte_top))
                if ranked
            },
        }


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 4)


def class_flips(
    float_logits: torch.Tensor, pte_logits: torch.Tensor, images: Sequence[ImageRecord], names: Sequence[str]
) -> tuple[Flip, ...]:
    """The images that changed class; both logits [N, classes]."""
    found = []
    for row in metrics.flips(float_logits, pte_logits):
        label = images[row].label
        float_top, pte_top = (_first(logits[row], names) for logits in (float_logits, pte_logits))
        found.append(
            Flip(
                image=images[row].name,
                label=None if label is None else names[label],
                float_class=float_top[0][0],
                pte_class=pte_top[0][0],
                float_probability=float_top[0][1],
                pte_probability=pte_top[0][1],
                float_top=float_top,
                pte_top=pte_top,
            )
        )
    return tuple(found)


def _first(logits: torch.Tensor, names: Sequence[str]) -> tuple[Ranked, ...]:
    """The likeliest classes of one image, logits [classes]; of equal ones the lower index, as `argmax` has it."""
    probability = logits.double().softmax(dim=0)
    order = logits.argsort(descending=True, stable=True)[:TOP].tolist()
    return tuple((names[index], probability[index].item()) for index in order)


def answer_flips(
    task: Task,
    reference: torch.Tensor,
    other: torch.Tensor,
    kept: torch.Tensor,
    images: Sequence[ImageRecord],
    names: Sequence[str],
) -> tuple[Flip, ...]:
    """The images that changed their answer of a task without classes; outputs [N, outputs], `kept` bool [N]."""
    assert task.answers is not None
    shown = [image.name for image in images]
    before, after = (task.answers(found, names, shown) for found in (reference, other))
    wanted = _wanted(task, images, names)
    return tuple(
        Flip(
            image=shown[row],
            label=wanted[row],
            float_class=before[row],
            pte_class=after[row],
            float_probability=None,
            pte_probability=None,
        )
        for row in (~kept).nonzero().flatten().tolist()
    )


def _wanted(task: Task, images: Sequence[ImageRecord], names: Sequence[str]) -> list[str | None]:
    """The targets in words; None of images without, and of classes, which are no answer."""
    targets = [image.targets for image in images]
    if task.answers is None or any(each is None for each in targets):
        return [None] * len(images)
    numbers = torch.tensor(targets, dtype=torch.float64)
    return list(task.answers(numbers, names, [image.name for image in images]))
