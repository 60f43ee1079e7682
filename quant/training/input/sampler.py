"""Which images a step sees: a function of seed, epoch and step, the same for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def local_batches(
    items: Iterator[T], *, first: int, steps: int, batch_size: int, rank: int, world: int
) -> Iterator[list[T]]:
    """Cut an epoch into global batches and yield this process's part of those from `first` to `steps` - 1.

    The processes' parts together are the batch that one process would see.
    """
    remaining = islice(items, first * batch_size, None)
    for _ in range(first, steps):
        batch = list(islice(remaining, batch_size))
        assert len(batch) == batch_size, "an epoch was planned longer than its images"
        yield batch[rank::world]
