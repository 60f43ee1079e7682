"""Pictures by (split, index, size, seed), drawn one at a time."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_effnet.errors import InputError
from edge_effnet.samples.camera import image
from edge_effnet.samples.classes import CLASSES
from edge_effnet.samples.difficulty import Tier, tier_at
from edge_effnet.samples.scene import compose
from edge_effnet.samples.streams import Stream, philox_key

SPLITS: Final[tuple[str, ...]] = ("train", "calibration", "val")
"""Each with its own random streams; `streams.philox_key` says why no two can share one."""

SIZES: Final = (32, 4096)
"""Smallest and largest side, pixels: below, no texture survives; above, memory is the limit."""

_STAGES: Final[tuple[str, ...]] = ("tier", "scene", "camera")
# Noise differs with the size, the scene must not: each stage has a stream of its own.


def _stream(split: str, index: int, seed: int, stage: str) -> Stream:
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
    key = philox_key(seed=seed, split_id=SPLITS.index(split), index=index, stage=_STAGES.index(stage))
    return Stream(key)


def check_arguments(split: str, index: int, size: int, seed: int) -> None:
    """Raise `InputError` for what `draw` cannot draw."""
    low, high = SIZES
    if not low <= size <= high:
        raise InputError(f"size {size}: need {low}..{high} pixels a side.")
    _stream(split, index, seed, _STAGES[0])


def label_of(index: int) -> int:
    """Class index of picture `index` of any split: any 16 in a row hold each class once."""
    return index % len(CLASSES)


def tier_of(split: str, index: int, seed: int = 0) -> Tier:
    """How hard picture `index` of a split is."""
    return tier_at(_stream(split, index, seed, "tier").uniform())


def draw_jpeg(split: str, index: int, size: int, seed: int = 0) -> tuple[bytes, int]:
    """Draw one picture as the JPEG file that its camera wrote, and its label; arguments as for `draw`."""
    check_arguments(split, index, size, seed)
    tier = tier_of(split, index, seed)
    label = label_of(index)
    canvas = compose(CLASSES[label], tier, _stream(split, index, seed, "scene"), size)
    return image(canvas, tier, _stream(split, index, seed, "camera")), label


def draw(split: str, index: int, size: int, seed: int = 0) -> tuple[NDArray[np.uint8], int]:
    """Draw picture `index` of a split: RGB [size, size, 3] of 0..255, and its label, `index % 16`.

    The same arguments give the same bytes in any process and order; every size shows the same scene.

    Raises:
        InputError: unknown split, or an index, size or seed out of range.

    """
    data, label = draw_jpeg(split, index, size, seed)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image), label
