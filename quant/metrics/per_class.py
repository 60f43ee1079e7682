"""The evaluation images class by class: who lost, and to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassFigures:
    """The images of one class; without labels, those that float puts into it."""

    name: str
    images: int
    float_right: int | None
    """Images that float gets right; None without labels."""
    pte_right: int | None
    """Images that the .pte gets right; None without labels."""
    kept: int
    """Images that keep float's class."""

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        values = asdict(self)
        return {"name": self.name, "photographs": values.pop("images"), **values}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClassFigures:
        """Inverse of `to_json`."""
        rest = {key: value for key, value in values.items() if key != "photographs"}
        return cls(images=values["photographs"], **rest)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusionChange:
    """A cell of the confusion matrix that the .pte fills otherwise than float does."""

    name: str
    """Row: the true class; without labels, float's."""
    answer: str
    """Column: the class that was answered."""
    float_count: int
    """Images that float puts there."""
    pte_count: int
    """Images that the .pte puts there."""

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {"class": self.name, "answer": self.answer, "float": self.float_count, "pte": self.pte_count}


def class_figures(
    float_logits: torch.Tensor, pte_logits: torch.Tensor, labels: torch.Tensor | None, names: Sequence[str]
) -> tuple[ClassFigures, ...]:
    """Count by class; classes without images are left out. Logits are [N, classes], labels int64 [N]."""
    expected, found = float_logits.argmax(dim=1), pte_logits.argmax(dim=1)
    rows = expected if labels is None else labels
    return tuple(
        ClassFigures(
            name=names[index],
            images=int(chosen.sum()),
            float_right=None if labels is None else int((expected[chosen] == index).sum()),
            pte_right=None if labels is None else int((found[chosen] == index).sum()),
            kept=int((expected[chosen] == found[chosen]).sum()),
        )
        for index in rows.unique().tolist()
        for chosen in [rows == index]
    )


def confusion_changes(
    float_logits: torch.Tensor, pte_logits: torch.Tensor, labels: torch.Tensor | None, names: Sequence[str]
) -> tuple[ConfusionChange, ...]:
    """Cells of the confusion matrix that differ between the two, row by row; arguments as `class_figures`."""
    expected, found = (logits.argmax(dim=1).tolist() for logits in (float_logits, pte_logits))
    rows = expected if labels is None else labels.tolist()
    before, after = (Counter(zip(rows, answers, strict=True)) for answers in (expected, found))
    return tuple(
        ConfusionChange(name=names[row], answer=names[column], float_count=before[cell], pte_count=after[cell])
        for cell in sorted(before | after)
        for row, column in [cell]
        if before[cell] != after[cell]
    )
