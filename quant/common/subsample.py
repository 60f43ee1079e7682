"""A few of many, evenly."""

from __future__ import annotations


def subsample(count: int, most: int | None) -> list[int]:
    """Indices of at most `most` of `count` things, spread evenly; None takes all."""
    chosen = min(count, most or count)
    return [i * count // chosen for i in range(chosen)]
