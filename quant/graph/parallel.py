"""Chunks of images in threads of their own, instead of threads that share each operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class Joinable(Protocol):
    """What is collected over images, and can be collected in parts."""

    def take(self, other: Self) -> None:
        """Add what another one collected."""
        ...


Joined = TypeVar("Joined", bound=Joinable)


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Apply a function to items in as many threads as torch has, each with one core; results in the items' order.

    Threads that share an operator wait for each other at its end: where other work takes one of them off its core,
    all stand still, thousands of times. With items of their own, the others take the next one. And what is summed up
    in the items' order is the same to the bit, however many threads there are. A single item has them all. Gradients
    are recorded only where the function asks for them.
    """

    def run(item: Item) -> Result:
        with torch.no_grad():
            return function(item)

    threads = torch.get_num_threads()
    if len(items) == 1:
        yield run(items[0])
        return
    torch.set_num_threads(1)
    try:
        if threads == 1:
            yield from map(run, items)
        else:
            # OpenMP keeps the number of threads of each thread apart: a new one would share a product with others.
            with ThreadPoolExecutor(max_workers=threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield from pool.map(run, items)
    finally:
        torch.set_num_threads(threads)


def joined(collect: Callable[[int], Joined], shards: int) -> Joined:
    """Collect over shards of images in parallel, and join what each gave, in their order: the same to the bit.

    Args:
        collect: of a shard's index.
        shards: at least one.
    """
    parts = in_parallel(collect, range(shards))
    whole = next(parts)
    for part in parts:
        whole.take(part)
    return whole
