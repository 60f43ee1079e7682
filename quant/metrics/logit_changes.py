"""What quantization did to each image's logits: where a change of class comes from, how far probabilities move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from quant.common.subsample import subsample

SHOWN = 400
"""Images of a plot: more would cover each other."""

_TAIL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class LogitChange:
    """One image. Its rival is the class that the program puts next to float's, or before it."""

    margin: float
    """Float's logit of its class less that of the rival; not negative."""
    gained: float
    """What the rival gained on float's class; more than the margin changes the class."""

    @property
    def flipped(self) -> bool:
        """Whether the class changed."""
        return self.gained > self.margin


@dataclass(frozen=True, kw_only=True, slots=True)
class LogitChanges:
    """Of the images of a run."""

    images: tuple[LogitChange, ...]
    """At most about `SHOWN` of them: all that changed class, and an even subsample of the others."""
    drift: float
    """Probability of float's class in the program, less that in float, on average; shares of 1."""
    drift_tail: float
    """95 % of the images move by at most so much."""

    @classmethod
    def of(cls, reference: torch.Tensor, other: torch.Tensor) -> LogitChanges:
        """Compare logits [N, classes], of two classes or more; float's first."""
        before, after = reference.double(), other.double()
        own = before.argmax(dim=1, keepdim=True)
        rival = after.scatter(1, own, float("-inf")).argmax(dim=1, keepdim=True)
        margin = (before.gather(1, own) - before.gather(1, rival))[:, 0]
        gained = margin - (after.gather(1, own) - after.gather(1, rival))[:, 0]
        moved = (after.softmax(dim=1).gather(1, own) - before.softmax(dim=1).gather(1, own))[:, 0]
        flipped = (after.argmax(dim=1) != own[:, 0]).nonzero()[:, 0].tolist()
        kept = sorted(set(range(len(margin))) - set(flipped))
        room = SHOWN - len(flipped)
        shown = sorted(
            [*flipped[:SHOWN], *([kept[i] for i in subsample(len(kept), room)] if room > 0 and kept else [])]
        )
        return cls(
            images=tuple(LogitChange(margin=margin[row].item(), gained=gained[row].item()) for row in shown),
            drift=moved.mean().item(),
            drift_tail=moved.abs().quantile(_TAIL).item(),
        )

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {
            "drift": round(self.drift, 5),
            "drift_tail": round(self.drift_tail, 5),
            "images": [[round(image.margin, 3), round(image.gained, 3)] for image in self.images],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LogitChanges:
        """Inverse of `to_json`, but for what it rounds away."""
        images = tuple(LogitChange(margin=float(margin), gained=float(gained)) for margin, gained in values["images"])
        return cls(images=images, drift=float(values["drift"]), drift_tail=float(values["drift_tail"]))
