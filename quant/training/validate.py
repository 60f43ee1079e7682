"""Accuracy of a network on labelled images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import numpy as np
import torch

from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from quant.common.progress import Progress
from quant.data.batches import batch_size_for
from quant.data.readers.labelled import Item, LabelledImages
from quant.training.input.loader import iterate, to_input


def read_plain(images: LabelledImages, preprocess: Preprocess, item: Item) -> tuple[np.ndarray, int]:
    """One picture as validation sees it, without augmentation: uint8 [crop, crop, 3], and its label."""
    return preprocess.centre(images.image(item), item.name), item.label


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut into lists of `size`; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


@torch.no_grad()
def top1(
    model: EfficientNet,
    images: LabelledImages,
    preprocess: Preprocess,
    *,
    device: torch.device,
    workers: int,
    progress: Progress,
) -> float:
    """Share of the images whose class is recognised, 0..1.

    Raises:
        InputError: an image that cannot be read.
    """
    model.eval()
    batches = batched(images.items(), batch_size_for(preprocess.crop))
    correct = 0
    with progress.stage(f"Validating at {preprocess.crop} px", len(images)) as advance:
        for batch in iterate(batches, partial(read_plain, images, preprocess), workers=workers):
            x, labels = to_input(batch, preprocess, device)
            correct += int((model(x).argmax(1) == labels).sum())
            advance(len(batch.labels))
    return correct / len(images)
