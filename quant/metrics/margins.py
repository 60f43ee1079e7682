"""What a change of class means: how sure float was, and what top-1 is expected to lose by it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from quant.metrics.metrics import CONFIDENCE, adjusted_interval, lost_and_won, same_class, sign_test
from quant.thresholds import SURE_MARGIN, SURE_SHARE

MARGINS = (0.05, 0.1, 0.2, 0.5)
"""Float's margin p1 - p2, from where agreement is given by itself."""

_TEMPERATURES = tuple(math.pow(2.0, step / 4) for step in range(-12, 13))
"""Tried, 1/8 to 8: a quarter of an octave moves no probability by more than some hundredths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """Top-1 that changed classes are expected to cost, shares of 1."""

    share: float
    interval: tuple[float, float]
    """Of 95 % confidence."""
    temperature: float
    """That float's logits were divided by; 1 where no labelled images tell."""

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {"share": self.share, "interval": list(self.interval), "temperature": self.temperature}


@dataclass(frozen=True, kw_only=True, slots=True)
class MarginClass:
    """The images that float is so sure about."""

    at_least: float
    """Float's margin p1 - p2."""
    images: int
    kept: int
    """Those that keep float's class."""

    @property
    def agreement(self) -> float:
        """Share of 1; 1 where there are none."""
        return self.kept / self.images if self.images else 1.0

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """Labelled images that one of two networks alone gets right."""

    lost: int
    won: int
    images: int
    chance: float
    """Of so uneven a count where nothing is lost or won: exact two-sided binomial test (McNemar 1947)."""

    @property
    def told(self) -> bool:
        """Whether the images tell a change from none."""
        return self.chance <= 1.0 - CONFIDENCE

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {"lost": self.lost, "won": self.won, "chance": self.chance, "told": self.told}


def paired(reference: torch.Tensor, other: torch.Tensor, labels: torch.Tensor) -> Paired:
    """Count what is lost and won from `reference` to `other`, logits [N, classes]; labels int64 [N]."""
    lost, won = lost_and_won(reference, other, labels)
    chance = min(1.0, 2 * sign_test(max(lost, won), min(lost, won)))
    return Paired(lost=lost, won=won, images=len(labels), chance=chance)


def expected_loss(
    reference: torch.Tensor, other: torch.Tensor, *, temperature: float = 1.0, confidence: float = CONFIDENCE
) -> Expected:
    """Average float's probability of its own class less that of the new one: what top-1 loses if float is calibrated.

    Logits are [N, classes]; float's, the `reference`, are divided by `temperature`.
    """
    before, after = reference.argmax(dim=1, keepdim=True), other.argmax(dim=1, keepdim=True)
    probability = (reference.double() / temperature).softmax(dim=1)
    losses = (probability.gather(1, before) - probability.gather(1, after))[:, 0]
    total = losses.sum().item()
    low, high = adjusted_interval(total, losses.square().sum().item() + 0.5, len(losses), confidence)
    return Expected(share=total / len(losses), interval=(max(0.0, low), high), temperature=temperature)


def tells_enough(sure: int, images: int) -> bool:
    """Whether float is sure of enough images for its probabilities to carry a verdict without labels."""
    return sure >= SURE_SHARE * images


@dataclass(frozen=True, kw_only=True)
class Sureness:
    """Float's answers to images without labels, by rank."""

    probability: torch.Tensor
    """[N, classes], falling."""
    sure: torch.Tensor
    """Whether float's margin p1 - p2 is `SURE_MARGIN` or more, bool [N]."""

    @classmethod
    def of(cls, reference: torch.Tensor) -> Sureness:
        """Rank float's logits, [N, classes]."""
        probability = reference.double().softmax(dim=1).sort(dim=1, descending=True).values
        return cls(probability=probability, sure=_margin(probability) >= SURE_MARGIN)

    @property
    def tells(self) -> bool:
        """Whether float's probabilities say enough to rest a verdict on."""
        return tells_enough(int(self.sure.sum()), len(self.sure))

    def drop(self, rows: torch.Tensor, ranks: torch.Tensor) -> float:
        """Share that counts as lost: of top-1 as expected, or of the sure images' classes, whichever is more.

        `rows` are indices of images, [n], and `ranks` those that float gives the classes they are taken for, [n].
        """
        changed = (ranks != 0).double()
        if not self.tells:
            return changed.mean().item()
        expected = (self.probability[rows, 0] - self.probability[rows, ranks]).mean().item()
        sure = changed[self.sure[rows]]
        return max(expected, sure.mean().item() if len(sure) else 0.0)


def _margin(falling: torch.Tensor) -> torch.Tensor:
    """p1 - p2 of probabilities in falling order, [N, 1 or more]."""
    return falling[:, 0] - (falling[:, 1] if falling.shape[1] > 1 else 0.0)


def ranks_of(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Rank that float gives the class of `other`, 0 where it is float's own, int64 [N]; both logits [N, classes]."""
    ranking = reference.argsort(dim=1, descending=True, stable=True)
    return (ranking == other.argmax(dim=1, keepdim=True)).int().argmax(dim=1)


def fitted_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Temperature that makes labels likeliest (Guo et al. 2017), of a grid from 1/8 to 8; logits [N, classes]."""
    scaled = {t: torch.nn.functional.cross_entropy(logits.double() / t, labels).item() for t in _TEMPERATURES}
    return min(_TEMPERATURES, key=lambda t: scaled[t])


def margin_classes(
    reference: torch.Tensor, other: torch.Tensor, *, margins: Sequence[float] = MARGINS, temperature: float = 1.0
) -> tuple[MarginClass, ...]:
    """Count the images that keep their class, by how sure float is; arguments as `expected_loss`."""
    probability = (reference.double() / temperature).softmax(dim=1)
    margin = _margin(probability.topk(min(2, probability.shape[1]), dim=1).values)
    same = same_class(reference, other)
    return tuple(
        MarginClass(at_least=at_least, images=int(sure.sum()), kept=int((sure & same).sum()))
        for at_least in margins
        for sure in [margin >= at_least]
    )
