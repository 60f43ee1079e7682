"""docs/preprocessing.md is what Pillow computes: the apps implement the document."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_effnet.preprocess import INTERPOLATIONS, Preprocess
from tests.support.resampling import resized_crop


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 90),
    st.integers(8, 250),
    st.integers(1, 40),
    st.integers(0, 20),
    st.sampled_from(sorted(INTERPOLATIONS)),
    st.sampled_from(["shorter", "squash", "pad", "pad-black"]),
    st.integers(0, 2**32 - 1),
)
def test_the_document_gives_the_pixels_of_pillow(
    tmp_path_factory, width, height, crop, margin, interpolation, mode, seed
):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if seed % 2:  # noise shows rounding, black and white show clamping
        pixels = (pixels > 127).astype(np.uint8) * 255
    path = tmp_path_factory.mktemp("photo") / "p.png"
    Image.fromarray(pixels).save(path)
    preprocess = Preprocess(crop=crop, resize=crop + margin, interpolation=interpolation, resize_mode=mode)
    assert np.array_equal(resized_crop(pixels, preprocess), preprocess.pixels(path))


def test_the_document_gives_the_normalised_values():
    preprocess = Preprocess(crop=16, resize=16)
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    mean, std = (np.array(v, dtype=np.float32) for v in (preprocess.mean, preprocess.std))
    table = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    assert torch.equal(preprocess.normalize(pixels), torch.from_numpy(table.transpose(2, 0, 1).copy()))
