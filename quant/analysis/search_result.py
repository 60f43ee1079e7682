"""What the search for float layers tried and chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a network that was tried is worth."""

    agreement: float
    """With float, on the selection images, 0..1."""
    drop: float
    """Top-1 lost on them, points."""
    sqnr_db: float
    chance: float
    """Probability that the target holds on the evaluation images, 0..1."""
    met: bool
    """Whether the target holds on the selection images, and likely enough on the evaluation ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point(Score):
    """One set of float layers, tried."""

    float_layers: tuple[str, ...]
    """Modules."""
    added_ms: float
    """Estimated latency beyond the program without float layers."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The outcome of a search."""

    points: tuple[Point, ...]
    """All that were tried, cheapest first."""
    chosen: Point
    """The cheapest that meets the target; the best of all where none does."""
    converted: fx.GraphModule
    """The network of `chosen`; stays in the process that found it."""
    images: int
    """That it was chosen on."""

    def __getstate__(self) -> dict[str, Any]:
        """What another process of the run is told: a graph with infinite bounds cannot be pickled."""
        return {**self.__dict__, "converted": None}
