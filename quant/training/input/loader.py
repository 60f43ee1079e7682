"""Steps -> batches of pixels, decoded and augmented ahead by threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from edge_effnet.preprocess import Preprocess
from quant.data.batches import read_ahead
from quant.data.readers.labelled import Item

T = TypeVar("T")

_AHEAD = 3
"""Batches in flight: enough to hide an uneven one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees."""

    pixels: np.ndarray
    """uint8 [n, size, size, 3], RGB."""
    labels: np.ndarray
    """int64 [n]."""


Read = Callable[[Item], tuple[np.ndarray, int]]
"""Item -> uint8 [size, size, 3] and its label."""


def iterate(batches: Iterable[list[Item]], read: Read, *, workers: int) -> Iterator[Batch]:
    """Read the batches in their order; `workers` threads work ahead, 0 reads each as it is asked for.

    Threads, not processes: Pillow and numpy release the interpreter's lock for nearly all of the work.

    Raises:
        InputError: an image that cannot be read, named.
    """
    if workers == 0:
        for items in batches:
            yield _stacked([read(item) for item in items])
        return
    for samples in read_ahead(read, batches, workers=workers, ahead=_AHEAD):
        yield _stacked(samples)


def to_input(batch: Batch, preprocess: Preprocess, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalise: float32 [n, 3, size, size] in channels_last, and int64 [n]."""
    pixels = torch.from_numpy(batch.pixels).to(device, non_blocking=True)
    mean = torch.tensor(preprocess.mean, device=device) * 255
    scale = 1 / (torch.tensor(preprocess.std, device=device) * 255)
    # The permuted NHWC tensor is channels_last already: no copy.
    x = pixels.to(torch.float32).sub_(mean).mul_(scale).permute(0, 3, 1, 2)
    return x, torch.from_numpy(batch.labels).to(device, non_blocking=True)


def _stacked(samples: list[tuple[np.ndarray, int]]) -> Batch:
    pixels, labels = zip(*samples, strict=True)
    return Batch(np.stack(pixels), np.array(labels, dtype=np.int64))


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
