"""Resizing and cropping as callers word them."""

import re

import pytest

from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess
from edge_effnet.weights.resizing import Geometry

BASE = Preprocess(crop=224, resize=256)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"resize": 232}, (224, 232, "shorter")),
        ({"resize": 300, "image_size": 280}, (280, 300, "shorter")),
        ({"resize": "256x256"}, (256, 256, "squash")),
        ({"resize": "256x256", "crop": 224}, (224, 256, "squash")),
        ({"resize": "256x256", "image_size": 224}, (224, 256, "squash")),
        ({"resize": "256x256", "resize_mode": "pad"}, (256, 256, "pad")),
        ({"resize": 256, "resize_mode": "pad-black"}, (256, 256, "pad-black")),
        ({"resize": "none"}, (224, 224, "none")),
        ({"resize": "none", "crop": 192}, (192, 192, "none")),
        ({"crop": 240}, (240, 256, "shorter")),
        ({"crop": 224, "image_size": 224}, (224, 256, "shorter")),
        ({"crop": 256, "resize_mode": "squash"}, (256, 256, "squash")),
        ({"resize_mode": "shorter"}, (224, 256, "shorter")),
        ({"interpolation": "bilinear"}, (224, 256, "shorter")),
    ],
)
def test_what_is_asked_for(asked, expected):
    found = Geometry(**asked).applied(BASE)
    assert (found.crop, found.resize, found.resize_mode) == expected
    assert found.interpolation == asked.get("interpolation", "bicubic")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"resize": "256x224"}, "--resize 256x224: need N"),
        ({"resize": "large"}, "--resize large: need N"),
        ({"resize": 0}, "1 <= crop <= resize"),
        ({"resize": 200, "crop": 224}, "1 <= crop <= resize"),
        ({"crop": 0}, "1 <= crop <= resize"),
        ({"crop": 300, "image_size": 224}, "--crop 300 and --image-size 224 both name the side"),
        ({"resize": "224x224", "resize_mode": "shorter"}, "--resize 224x224 and --resize-mode shorter contradict"),
        ({"resize": "none", "resize_mode": "pad"}, "--resize none and --resize-mode pad contradict"),
        ({"resize_mode": "longer"}, "choose one of shorter, squash, pad, pad-black, none"),
        ({"interpolation": "area"}, "choose one of bilinear, bicubic"),
    ],
)
def test_impossible_wishes_are_refused_before_weights_are_read(asked, words):
    with pytest.raises(InputError, match=re.escape(words)):
        Geometry(**asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"resize": 200}, "scaled to 200 pixels, and the network sees 224 of them: give --crop of at most 200"),
        ({"crop": 288}, "scaled to 256 pixels, and the network sees 288 of them"),
        ({"resize_mode": "squash"}, "--resize-mode squash: say to what size, such as --resize 224;"),
    ],
)
def test_wishes_that_do_not_fit_the_weights_own(asked, words):
    with pytest.raises(InputError, match=re.escape(words)):
        Geometry(**asked).applied(BASE)
