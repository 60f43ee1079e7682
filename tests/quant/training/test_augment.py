from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from quant.training.input.loader import _jittered, augmented, sample_rng


def _picture(width: int = 90, height: int = 70) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 3, columns * 2, rows + columns], axis=-1)
    return Image.fromarray((pixels % 256).astype(np.uint8))


def test_the_size_and_type_are_the_networks() -> None:
    pixels = augmented(_picture(), 48, sample_rng(0, 0, 0))
    assert pixels.shape == (48, 48, 3)
    assert pixels.dtype == np.uint8


def test_the_seed_the_epoch_and_the_index_decide_and_nothing_else() -> None:
    first = augmented(_picture(), 48, sample_rng(1, 2, 3))
    np.random.default_rng().random(5)
    assert np.array_equal(augmented(_picture(), 48, sample_rng(1, 2, 3)), first)
    for other in (sample_rng(0, 2, 3), sample_rng(1, 0, 3), sample_rng(1, 2, 0)):
        assert not np.array_equal(augmented(_picture(), 48, other), first)


def test_strength_zero_keeps_the_colours_and_the_frame() -> None:
    for index in range(8):
        pixels = augmented(_picture(64, 64), 64, sample_rng(0, 0, index), strength=0.0)
        assert np.abs(pixels.mean((0, 1)) - np.asarray(_picture(64, 64)).mean((0, 1))).max() < 1.5


def test_stronger_augmentation_moves_the_brightness_further() -> None:
    def subsample(strength: float) -> float:
        means = [augmented(_picture(), 32, sample_rng(0, 0, i), strength=strength).mean() for i in range(40)]
        return float(np.std(means))

    assert subsample(0.2) < subsample(1.0)


@pytest.mark.parametrize("size", [(8, 8), (400, 9), (9, 400)])
def test_odd_shapes_are_cut_too(size: tuple[int, int]) -> None:
    assert augmented(_picture(*size), 32, sample_rng(0, 0, 1)).shape == (32, 32, 3)


def test_grey_stays_grey_under_colour_jitter() -> None:
    grey = np.full((8, 8, 3), 120, dtype=np.uint8)
    for index in range(5):
        recoloured = _jittered(grey, sample_rng(0, 0, index), 0.3)
        assert np.ptp(recoloured.astype(int), axis=2).max() <= 1
