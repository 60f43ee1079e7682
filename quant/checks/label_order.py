"""Are the class names in the network's order? Its own mistakes tell."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.common.findings import Finding, finding
from quant.thresholds import PERMUTED_IMAGES

_SHOWN = 4


def permuted_classes(logits: torch.Tensor, labels: torch.Tensor) -> dict[int, int]:
    """Find classes that float takes for each other, as a whole: {label: what most of its images are taken for}.

    A network confuses classes, but not so that most images of each are called by another's name in turn: then
    the names are exchanged. Classes with fewer than `PERMUTED_IMAGES` images say nothing.

    Args:
        logits: of the float network, [N, classes].
        labels: int64, [N].
    """
    taken_for = logits.argmax(dim=1)
    moved: dict[int, int] = {}
    for label in labels.unique().tolist():
        own = taken_for[labels == label]
        usual = int(own.mode().values)
        if usual != label and len(own) >= PERMUTED_IMAGES and int((own == usual).sum()) * 2 > len(own):
            moved[label] = usual
    # Only what leads back to where it began is an exchange.
    while open_ends := {a for a, b in moved.items() if b not in moved or a not in moved.values()}:
        moved = {label: usual for label, usual in moved.items() if label not in open_ends}
    return moved


def check_label_order(logits: torch.Tensor, labels: torch.Tensor, names: Sequence[str]) -> Finding | None:
    """Name the classes that float takes for each other (see `permuted_classes`); None where there are none."""
    moved = permuted_classes(logits, labels)
    if not moved:
        return None
    pairs = [f"{names[label]!r} is taken for {names[usual]!r}" for label, usual in list(moved.items())[:_SHOWN]]
    more = f" and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
    message = f"labels: {', '.join(pairs)}{more}: the class names or folders are in another order than its outputs"
    return finding("label-order", message)
