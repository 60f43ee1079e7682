"""How likely a target holds on images that the quantized network has not been run over.

A network agrees with float more often on images that it was trained on: float's own margins are wider there. So
the share that keeps its class on the selection images, drawn from `train/` as a rule, promises too much. What
int8 adds to the logits depends little on that. Its error on each selection image, sorted by the rank that float
gives the classes and in units of the logits' standard deviation, is added to float's sorted logits on images of the
other kind: how often the first rank is lost then is what is to be expected there. Only float's logits of those images
are looked at. On the real B0 in int8, 100 % of the selection images keep their class, 98.9 % are predicted for
the evaluation images, and 98.8 % it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from quant.metrics.margins import Sureness
from quant.metrics.tasks.task import PerImage
from quant.thresholds import OUTLOOK_RUNS, SHARE_ROUNDING

_CHUNK = 2**24
"""Numbers at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Bounds that a search works towards."""

    min_agreement: float
    """Share of the images that keep their class, 0..1."""
    max_drop: float
    """Top-1 that may be lost, points; without labels as `quant.metrics.margins.Sureness.drop` counts it."""

    def met(self, agreement: float, drop: float) -> bool:
        """Whether figures are good enough."""
        return agreement >= self.min_agreement - SHARE_ROUNDING and drop <= self.max_drop + SHARE_ROUNDING


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Images that a network will be judged on, as float sees them."""

    logits: torch.Tensor
    """Float's, [N, classes]."""
    labels: torch.Tensor | None
    """Classes, [N]; None without labels."""
    images: int
    """How many they stand for, at least N."""


def chance(target: Target, reference: torch.Tensor, found: torch.Tensor, judged: Judged, *, seed: int) -> float:
    """Estimate the probability that a network meets a target.

    Args:
        target: to meet on the judged images.
        reference: float logits on the selection images, [n, classes].
        found: the quantized network's, [n, classes].
        judged: the others.
        seed: of the draws.

    Returns:
        0..1.
    """
    ranks, ranking = _ranks(reference, found, judged)
    right = None if judged.labels is None else (ranking == judged.labels[:, None]).double()
    unlabelled = Sureness.of(judged.logits)
    rows = torch.arange(judged.images) % len(ranks)

    def outcome(generator: torch.Generator) -> bool:
        # Each image meets the error of some selection image.
        taken = ranks[rows, torch.randint(ranks.shape[1], (judged.images,), generator=generator)].long()
        kept = (taken == 0).double().mean().item()
        drop = unlabelled.drop(rows, taken) if right is None else (right[rows, 0] - right[rows, taken]).mean().item()
        return target.met(kept, 100.0 * drop)

    return _share_of(outcome, seed)


def chance_by_image(target: Target, found: PerImage, images: int, *, seed: int) -> float:
    """Estimate it where answers are no classes: what the selection images lose is drawn for so many judged ones.

    Args:
        target: to meet on the judged images.
        found: what the selection images kept and lost.
        images: that are judged.
        seed: of the draws.

    Returns:
        0..1.
    """

    def outcome(generator: torch.Generator) -> bool:
        drawn = found.of(torch.randint(len(found.kept), (images,), generator=generator))
        return target.met(drawn.kept.double().mean().item(), 100.0 * drawn.drop)

    return _share_of(outcome, seed)


def _share_of(outcome: Callable[[torch.Generator], bool], seed: int) -> float:
    """Share of possible outcomes, each drawn, that meet a target."""
    generator = torch.Generator().manual_seed(seed)
    return sum(outcome(generator) for _ in range(OUTLOOK_RUNS)) / OUTLOOK_RUNS


def _ranks(reference: torch.Tensor, found: torch.Tensor, judged: Judged) -> tuple[torch.Tensor, torch.Tensor]:
    """Rank of the class that each judged image is taken for with each selection image's error; classes by rank."""
    order = reference.argsort(dim=1, descending=True)
    # Errors grow with the logits: in units of their standard deviation they fit images of any confidence.
    errors = ((found - reference) / _deviation(reference)).gather(1, order)
    ranking = judged.logits.argsort(dim=1, descending=True)
    sorted_logits = judged.logits.gather(1, ranking)
    step = max(1, _CHUNK // errors.numel())
    winners = [
        (rows[:, None] + errors * _deviation(rows)[:, None]).argmax(dim=2) for rows in sorted_logits.split(step)
    ]
    return torch.cat(winners).to(torch.int16), ranking


def _deviation(logits: torch.Tensor) -> torch.Tensor:
    """Standard deviation over the classes, [N, 1]."""
    return logits.std(dim=1, keepdim=True).clamp_min(1e-12)
