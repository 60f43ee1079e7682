"""docs/preprocessing.md, step by step, without Pillow: what the apps implement."""

from __future__ import annotations

import numpy as np


def bilinear(x):
    x = abs(x)
    return 1 - x if x < 1 else 0.0


def bicubic(x):
    x, a = abs(x), -0.5
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


KERNELS = {"bilinear": (bilinear, 1), "bicubic": (bicubic, 2)}


def resample_rows(pixels, length, interpolation):
    """[H, W, 3] uint8 -> [H, length, 3] uint8."""
    kernel, radius = KERNELS[interpolation]
    source = pixels.shape[1]
    scale = source / length
    stretch = max(scale, 1.0)
    support = radius * stretch
    columns = []
    for i in range(length):
        centre = (i + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(source, int(centre + support + 0.5))
        weights = [kernel((k + first - centre + 0.5) * (1 / stretch)) for k in range(last - first)]
        total = 0.0
        for weight in weights:
            total += weight
        fixed = [int(w / total * 2**22 + (0.5 if w / total >= 0 else -0.5)) for w in weights]
        sums = np.tensordot(pixels[:, first:last].astype(np.int64), np.array(fixed), axes=(1, 0))
        columns.append(np.clip((2**21 + sums) >> 22, 0, 255).astype(np.uint8))
    return np.stack(columns, axis=1)


def resized_crop(pixels, preprocess):
    """[H, W, 3] uint8 -> [crop, crop, 3] uint8, steps 2 and 3."""
    height, width, _ = pixels.shape
    new_width, new_height = resized(width, height, preprocess)
    if new_width != width:
        pixels = resample_rows(pixels, new_width, preprocess.interpolation)
    if new_height != height:
        pixels = resample_rows(pixels.transpose(1, 0, 2), new_height, preprocess.interpolation).transpose(1, 0, 2)
    short = [max(0, preprocess.crop - side) for side in pixels.shape[:2]]
    colour = [round(255 * mean) if preprocess.resize_mode == "pad" else 0 for mean in preprocess.mean]
    pixels = np.stack(
        [
            np.pad(pixels[..., i], [(n // 2, n - n // 2) for n in short], constant_values=colour[i])
            for i in range(len(colour))
        ],
        axis=-1,
    )
    top, left = (round((side - preprocess.crop) / 2) for side in pixels.shape[:2])
    return pixels[top : top + preprocess.crop, left : left + preprocess.crop]


def resized(width, height, preprocess):
    resize, shorter, longer = preprocess.resize, min(height, width), max(height, width)
    if preprocess.resize_mode == "squash":
        return resize, resize
    if preprocess.resize_mode.startswith("pad"):
        ratio = longer / resize
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    if shorter == resize:
        return width, height
    scaled = int(resize * longer / shorter)
    return (resize, scaled) if width <= height else (scaled, resize)
