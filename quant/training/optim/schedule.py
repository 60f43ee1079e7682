"""The learning rate and the place in the data as pure functions of the step: nothing of them needs saving."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_effnet.errors import InputError
from quant.training.config import Stage

FLOOR = 0.01
"""The last learning rate, as a fraction of the peak."""


def learning_rate(progress: float, *, peak: float, warmup: float) -> float:
    """Linear warm-up, then half a cosine from `peak` down to `FLOOR * peak`.

    Args:
        progress: of the run, 0..1.
        peak: the highest learning rate.
        warmup: share of the run that warms up.
    """
    if progress < warmup:
        return peak * max(progress / warmup, FLOOR)
    decayed = (progress - warmup) / (1 - warmup)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, decayed))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One pass over the training images."""

    number: int
    """From 0, over all stages."""
    image_size: int
    """Side of the crops, pixels."""
    first_step: int
    steps: int


def plan_epochs(stages: tuple[Stage, ...], *, images: int, batch_size: int, max_steps: int | None) -> list[Epoch]:
    """Lay out the steps; the images that fill no batch are left out of an epoch, others in each.

    With `max_steps`, what lies beyond it is cut, or the last stage continues until it is reached.

    Raises:
        InputError: fewer images than one batch.
    """
    per_epoch = images // batch_size
    if per_epoch == 0:
        raise InputError(f"{images} training images fill no batch of {batch_size}; lower --batch-size.")
    lengths = [max(1, round(stage.epochs * per_epoch)) for stage in stages]
    if max_steps is not None:
        lengths[-1] = max(lengths[-1], max_steps - sum(lengths[:-1]))
    total = sum(lengths) if max_steps is None else max_steps
    epochs: list[Epoch] = []
    first = 0
    for stage, length in zip(stages, lengths, strict=True):
        end = min(first + length, total)
        while first < end:
            steps = min(per_epoch, end - first)
            epochs.append(Epoch(number=len(epochs), image_size=stage.image_size, first_step=first, steps=steps))
            first += steps
    return epochs


def progress_at(epochs: list[Epoch], step: int) -> float:
    """Share of all pixels that were seen before a step, 0..1.

    Pixels, not steps: a short last stage at full resolution is a large part of the work, and needs a learning
    rate that still moves the weights.
    """
    seen = sum(min(max(step - e.first_step, 0), e.steps) * e.image_size**2 for e in epochs)
    return seen / sum(e.steps * e.image_size**2 for e in epochs)
