"""Evaluation images that look like calibration images, on perceptual hashes that are written down."""

import pytest
import torch

from quant.checks.reference import find_leakage
from quant.data.perceptual_hash import Calibrated
from tests.support.outcomes import images


def hashes(count, *, seed=0):
    return torch.randint(0, 256, (count, 64), generator=torch.Generator().manual_seed(seed)).float()


def leak(count, *, copies, noise=0.0):
    """Of `count` evaluation images the first `copies` are calibration images again, `noise` levels off."""
    known, seen = hashes(8), hashes(count, seed=1)
    seen[:copies] = known[:copies] + noise
    calibrated = Calibrated(names=tuple(f"train/{i}.jpg" for i in range(8)), hashes=known)
    return find_leakage(images(count), seen, calibrated)


@pytest.mark.parametrize(
    ("count", "copies", "code"),
    [(60, 0, None), (60, 1, "leakage"), (100, 1, "leakage"), (101, 1, "near-duplicates"), (400, 4, "leakage")],
)
def test_enough_of_them_are_an_error_and_a_few_a_warning(count, copies, code):
    found = leak(count, copies=copies)
    assert (found and found.code) == code


def test_the_sentence_counts_them_and_names_the_first():
    message = leak(60, copies=3, noise=1.5).message
    assert message.startswith("calibration images: 3 of the 60 evaluation images look like ones")
    assert "first: 0.jpg, like train/0.jpg" in message


def test_images_further_off_than_a_saved_one_are_others():
    assert leak(60, copies=3, noise=2.5) is None


def test_evenly_grey_images_are_no_copies():
    calibrated = Calibrated(names=("train/grey.png",), hashes=torch.full((1, 64), 128.0))
    assert find_leakage(images(2), torch.full((2, 64), 128.0), calibrated) is None
