"""The images whose answer a program changed, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.metrics.tasks.task import Task

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
            "float_probability": rounded(self.float_probability),
            "pte_probability": rounded(self.pte_probability),
            **{
                key: [[name, rounded(probability)] for name, probability in ranked]
                for key, ranked in (("float_top", self.float_top), ("pte_top", self.pte_top))
                if ranked
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Flip:
        """Inverse of `to_json`, but for what it rounds away."""
        return cls(
            image=values["photograph"],
            label=values["label"],
            float_class=values["float"],
            pte_class=values["pte"],
            float_probability=values["float_probability"],
            pte_probability=values["pte_probability"],
            float_top=tuple((name, probability) for name, probability in values.get("float_top", ())),
            pte_top=tuple((name, probability) for name, probability in values.get("pte_top", ())),
        )


def rounded(value: float | None) -> float | None:
    """As `--json` has probabilities and milliseconds."""
    return None if value is None else round(value, 4)


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
    shown, targets = [image.name for image in images], [image.targets for image in images]
    before, after = (task.answers(found, names, shown) for found in (reference, other))
    wanted: Sequence[str | None] = [None] * len(images)
    if not any(each is None for each in targets):
        wanted = task.answers(torch.tensor(targets, dtype=torch.float64), names, shown)
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
