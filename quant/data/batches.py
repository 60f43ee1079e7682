"""Images -> batches of network inputs, decoded ahead of the network."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from edge_effnet.preprocess import Preprocess
from quant.common.progress import Progress
from quant.data.split import ImageRecord

Model = Callable[[torch.Tensor], torch.Tensor]

Item = TypeVar("Item")
Read = TypeVar("Read")

BATCH_SIZE_AT_224 = 16
_LARGEST_BATCH = 64
_WORKERS = max(2, min(8, os.cpu_count() or 1))
"""Threads that decode: an image of 500 x 375 takes 2 ms of a core, a forward of B0 7 (int8) to 40, so that they keep
ahead, and processes of their own would gain nothing."""


def batch_size_for(image_size: int) -> int:
    """Images a batch that keep memory about constant over resolutions; few enough to see progress."""
    return max(1, min(_LARGEST_BATCH, int(BATCH_SIZE_AT_224 * (224 / image_size) ** 2)))


def iterate_batches(
    paths: Sequence[Path], preprocess: Preprocess, *, batch_size: int | None = None
) -> Iterator[torch.Tensor]:
    """Yield float32 [n, 3, crop, crop] in the order of `paths`; see `iterate_pixels`."""
    for pixels in iterate_pixels(paths, preprocess, batch_size=batch_size):
        yield preprocess.normalize(pixels)


def iterate_pixels(
    paths: Sequence[Path], preprocess: Preprocess, *, batch_size: int | None = None
) -> Iterator[np.ndarray]:
    """Yield uint8 [n, crop, crop, 3] in the order of `paths`; the next two batches decode meanwhile.

    Pillow releases the interpreter's lock while it decodes and resamples, so threads do.

    Raises:
        InputError: an image that cannot be read, named.
    """
    size = batch_size or batch_size_for(preprocess.crop)
    batches = (paths[start : start + size] for start in range(0, len(paths), size))
    for images in read_ahead(preprocess.pixels, batches, workers=_WORKERS, ahead=2):
        yield np.stack(images)


def read_ahead(
    read: Callable[[Item], Read], batches: Iterable[Sequence[Item]], *, workers: int, ahead: int
) -> Iterator[list[Read]]:
    """Read the items of every batch in threads, so many batches ahead of the one that is given; in their order."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        pending: deque[Iterator[Read]] = deque()
        try:
            for items in batches:
                pending.append(pool.map(read, items))
                if len(pending) > ahead:
                    yield list(pending.popleft())
            yield from map(list, pending)
        finally:
            pool.shutdown(cancel_futures=True)


def read_batches(images: Sequence[ImageRecord], preprocess: Preprocess, progress: Progress) -> list[torch.Tensor]:
    """Decode images once, to be read several times: float32 batches [n, 3, crop, crop] in their order.

    Raises:
        InputError: an image that cannot be read, named.
    """
    with progress.stage("Reading", len(images)) as advance:
        batches = []
        for batch in iterate_batches([p.path for p in images], preprocess):
            batches.append(batch)
            advance(len(batch))
    return batches


def first_images(inputs: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
    """The leading `count` images, in the batches that they come in."""
    starts = accumulate(map(len, inputs), initial=0)
    return [batch[: count - start] for start, batch in zip(starts, inputs, strict=False) if start < count]


def later_images(inputs: Sequence[torch.Tensor], count: int) -> list[torch.Tensor]:
    """All but the leading `count` images, in the batches that they come in."""
    starts = accumulate(map(len, inputs), initial=0)
    later = (batch[max(0, count - start) :] for start, batch in zip(starts, inputs, strict=False))
    return [batch for batch in later if len(batch)]
