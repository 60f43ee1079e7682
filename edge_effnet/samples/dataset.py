"""Pictures by (split, index, size, seed), drawn and photographed one at a time."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_effnet.errors import InputError
from edge_effnet.samples.classes import CLASSES, Tier, tier_at
from edge_effnet.samples.scene import blurred, compose, to_image
from edge_effnet.samples.shapes import turn
from edge_effnet.samples.streams import FloatArray, Stream, philox_key

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
    return jpeg_of(canvas, tier, _stream(split, index, seed, "camera")), label


def draw(split: str, index: int, size: int, seed: int = 0) -> tuple[NDArray[np.uint8], int]:
    """Draw picture `index` of a split: RGB [size, size, 3] of 0..255, and its label, `index % 16`.

    The same arguments give the same bytes in any process and order; every size shows the same scene.

    Raises:
        InputError: unknown split, or an index, size or seed out of range.
    """
    data, label = draw_jpeg(split, index, size, seed)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image), label


def _motion_blur(canvas: FloatArray, stream: Stream, length: float) -> FloatArray:
    """Average the canvas along a straight shake of `length` pixels: [3, S, S]."""
    c, s = turn(stream.uniform())
    taps = max(round(length), 1)
    if taps < 2:
        return canvas
    size = canvas.shape[1]
    total = np.zeros_like(canvas)
    places = np.arange(size)
    for tap in range(taps):
        along = tap - (taps - 1) / 2
        rows = np.clip(places + round(along * s), 0, size - 1)
        columns = np.clip(places + round(along * c), 0, size - 1)
        total += canvas.take(rows, axis=1).take(columns, axis=2)
    return total * np.float32(1 / taps)


def _expose(canvas: FloatArray, stream: Stream, tier: Tier) -> FloatArray:
    """Exposure, white balance and tone curve: [3, S, S], not clipped."""
    stops = stream.within(tier.exposure) * (1 if stream.chance(0.5) else -1)
    # 2^x for -2..2 without a library call that rounds differently elsewhere.
    gain = (1 + abs(stops) * (0.6565 + 0.3435 * abs(stops))) ** (1 if stops > 0 else -1)
    # Cameras meter: a dark scene is lifted and a bright one is pulled down, most of the way.
    mean = float(canvas.mean(dtype=np.float64))
    gain *= 1 + 0.7 * (0.45 / max(mean, 0.05) - 1)
    warm = stream.within(tier.white_balance) * (1 if stream.chance(0.5) else -1)
    gains = np.asarray([gain * (1 + warm), gain * (1 + stream.signed(0.05)), gain * (1 - warm)], dtype=np.float32)
    exposed = canvas * gains[:, None, None]
    np.clip(exposed, 0, 4, out=exposed)
    # A shoulder instead of a cliff: above three quarters highlights are compressed, as phones do.
    over = np.maximum(exposed - np.float32(0.75), 0)
    np.minimum(exposed, np.float32(0.75), out=exposed)
    exposed += over / (1 + 4 * over)
    curve = np.float32(stream.uniform(-0.2, 0.6))
    toned: FloatArray = exposed + curve * (exposed * exposed * (3 - 2 * exposed) - exposed)
    return toned


def jpeg_of(canvas: FloatArray, tier: Tier, stream: Stream) -> bytes:
    """Image a scene [3, S, S] of about 0..1: the bytes of the JPEG file."""
    size = canvas.shape[1]
    canvas = blurred(canvas, stream.within(tier.defocus) * size)
    canvas = _motion_blur(canvas, stream, stream.within(tier.motion) * size)
    canvas = _expose(canvas, stream, tier)
    # Photons are counted: the deviation grows with the square root of the light, above a floor of read noise.
    strength = np.float32(stream.within(tier.noise))
    grain = stream.uniform(0.2, 0.8)
    quality = round(stream.within(tier.quality))
    subsampling = stream.pick((0, 2, 2))
    deviation = np.sqrt(canvas * np.float32(1.6) + np.float32(0.2)) * strength
    speckle = stream.noise(3, size, size) * np.float32(1 - grain)
    speckle += stream.noise(1, size, size) * np.float32(grain)
    file = io.BytesIO()
    to_image(canvas + deviation * speckle).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()
