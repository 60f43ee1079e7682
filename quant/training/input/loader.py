"""Steps -> batches of pixels, decoded and augmented ahead by threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

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
    at_once = ([read(item) for item in items] for items in batches)
    for samples in read_ahead(read, batches, workers=workers, ahead=_AHEAD) if workers else at_once:
        pixels, labels = zip(*samples, strict=True)
        yield Batch(np.stack(pixels), np.array(labels, dtype=np.int64))


def to_input(batch: Batch, preprocess: Preprocess, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalise: float32 [n, 3, size, size] in channels_last, and int64 [n]."""
    pixels = torch.from_numpy(batch.pixels).to(device, non_blocking=True)
    mean = torch.tensor(preprocess.mean, device=device) * 255
    scale = 1 / (torch.tensor(preprocess.std, device=device) * 255)
    # The permuted NHWC tensor is channels_last already: no copy.
    x = pixels.to(torch.float32).sub_(mean).mul_(scale).permute(0, 3, 1, 2)
    return x, torch.from_numpy(batch.labels).to(device, non_blocking=True)


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


CROP_AREA = 0.45
"""At strength 1, the smallest share of the picture that a crop may keep."""
CROP_RATIO = 4 / 3
"""Most that a crop is stretched, either way."""
MAX_ROTATION = 15.0
"""Degrees, to either side, at strength 1; half of the pictures are rotated."""
JITTER = 0.3
"""Brightness, contrast and saturation are scaled by 1 - JITTER..1 + JITTER at strength 1."""

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_GREY = (124, 116, 104)  # ImageNet's mean: the colour that the network sees as nothing


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Random numbers of one sample in one epoch: whichever worker draws them, whenever, they are the same."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch << 40 | index]))


def augmented(
    image: Image.Image, image_size: int, rng: np.random.Generator, *, strength: float = 1.0, gray: bool = False
) -> np.ndarray:
    """Cut, scale, flip, rotate and recolour one picture.

    Returns:
        uint8 [image_size, image_size, 3], RGB; [..., 1] of their luma where `gray`.
    """
    box = _crop_box(image.size, rng, strength)
    # Pillow antialiases; reducing_gap lets it shrink large images by whole factors first.
    image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        degrees = MAX_ROTATION * strength * rng.uniform(-1, 1)
        image = image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=_GREY)
    pixels = _jittered(np.asarray(image), rng, JITTER * min(strength, 2.0))
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None] if gray else pixels


def _crop_box(size: tuple[int, int], rng: np.random.Generator, strength: float) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of a crop, in pixels."""
    width, height = size
    area = rng.uniform(max(0.05, 1 - (1 - CROP_AREA) * strength), 1.0) * width * height
    stretch = math.exp(rng.uniform(-1, 1) * math.log(CROP_RATIO) * min(strength, 1.0))
    w = min(width, math.sqrt(area * stretch))
    h = min(height, math.sqrt(area / stretch))
    left, top = rng.random() * (width - w), rng.random() * (height - h)
    return left, top, left + w, top + h


def _jittered(pixels: np.ndarray, rng: np.random.Generator, jitter: float) -> np.ndarray:
    """Brightness, contrast and saturation in one affine map of the colours."""
    brightness, contrast, saturation = 1 + jitter * rng.uniform(-1, 1, size=3).astype(np.float32)
    luma = np.ones((3, 1), dtype=np.float32) * _LUMA
    matrix = contrast * brightness * (saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * luma)
    middle = np.float32(pixels.mean()) * brightness
    recoloured: np.ndarray = pixels.astype(np.float32) @ matrix.T
    recoloured += middle * (1 - contrast)
    np.clip(recoloured, 0, 255, out=recoloured)
    return recoloured.astype(np.uint8)
