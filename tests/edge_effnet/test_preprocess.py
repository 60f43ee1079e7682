import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_effnet.errors import InputError
from edge_effnet.preprocess import INTERPOLATIONS, RESIZE_MODES, Preprocess
from tests.support.images import draw_image


@pytest.mark.parametrize(
    ("width", "height", "left", "top"),
    [(20, 10, 6, 1), (10, 20, 1, 6), (11, 10, 2, 1), (13, 10, 2, 1), (15, 10, 4, 1)],
)
def test_the_crop_starts_where_torchvision_rounds_to(tmp_path, width, height, left, top):
    """Without scaling, so that each pixel is known: halves round to even."""
    grid = np.zeros((height, width, 3), dtype=np.uint8)
    grid[..., 0], grid[..., 1] = np.arange(width), np.arange(height)[:, None]
    Image.fromarray(grid).save(tmp_path / "grid.png")
    corner = Preprocess(crop=8, resize=10).pixels(tmp_path / "grid.png")[0, 0]
    assert tuple(corner[:2]) == (left, top)


def test_normalised_values_are_those_of_the_formula(tmp_path):
    Image.new("RGB", (8, 8), (255, 51, 0)).save(tmp_path / "solid.png")
    x = Preprocess(crop=8, resize=8, mean=(0.5, 0.4, 0.25), std=(0.5, 0.2, 0.125))(tmp_path / "solid.png")
    assert x.shape == (3, 8, 8) and x.dtype == torch.float32
    expected = torch.tensor([(1 - 0.5) / 0.5, (0.2 - 0.4) / 0.2, -0.25 / 0.125]).view(3, 1, 1).expand(3, 8, 8)
    torch.testing.assert_close(x, expected)


def test_network_inputs_are_contiguous_channels_first(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    x = Preprocess(crop=5, resize=5).normalize(pixels)
    assert x.shape == (2, 3, 5, 5) and x.is_contiguous()


def test_the_first_channel_is_red(tmp_path):
    x = Preprocess(crop=16, resize=16)(draw_image(tmp_path / "red.jpg", "red"))
    assert x[0].mean() > x[1].mean() and x[0].mean() > x[2].mean()


def test_a_strip_that_would_fill_the_memory_is_refused(tmp_path):
    Image.new("RGB", (60_000, 8)).save(tmp_path / "strip.png")
    with pytest.raises(InputError, match=r"strip\.png: 60000x8 pixels is too elongated") as caught:
        Preprocess(crop=224, resize=256).pixels(tmp_path / "strip.png")
    assert "remove it" in str(caught.value)


def test_a_border_has_the_colour_of_the_mean_and_the_image_lies_in_its_middle(tmp_path):
    Image.new("RGB", (20, 10), (255, 255, 255)).save(tmp_path / "wide.png")
    np.save(tmp_path / "wide.npy", np.full((10, 20, 2), 255, dtype=np.uint8))
    for mean, mode, name, colour in (
        ((0.5, 0.25, 1.0), "pad", "wide.png", [128, 64, 255]),
        ((0.5, 0.25, 1.0), "pad-black", "wide.png", [0, 0, 0]),
        ((0.449,), "pad", "wide.png", [114]),
        ((0.5, 117.0), "pad", "wide.npy", [128, 255]),
    ):
        preprocess = Preprocess(crop=9, resize=9, mean=mean, std=(1.0,) * len(mean), resize_mode=mode)
        pixels = preprocess.pixels(tmp_path / name)
        assert pixels.shape == (9, 9, len(mean))
        # 9 x 4 (4.5 to even): two rows above, three below.
        assert (pixels[[0, 1, 6, 7, 8]] == colour).all() and (pixels[2:6] == 255).all()


def test_images_taken_as_they_are_have_the_right_size_already(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "square.png")
    Image.fromarray(noise[:8]).save(tmp_path / "wide.png")
    preprocess = Preprocess(crop=9, resize=9, resize_mode="none")
    assert (preprocess.pixels(tmp_path / "square.png") == noise).all()
    with pytest.raises(InputError, match=r"wide\.png: 9x8 pixels, and the resize mode none takes squares of 9"):
        preprocess.pixels(tmp_path / "wide.png")


def test_the_usual_resize_mode_is_left_out_of_the_manifest():
    """Older artifacts do not have it, and older apps accept no other keys."""
    assert "resize_mode" not in Preprocess(crop=9, resize=9).to_dict()
    assert Preprocess(crop=9, resize=9, resize_mode="squash").to_dict()["resize_mode"] == "squash"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": 0}, "1 <= crop <= resize"),
        ({"crop": 257}, "1 <= crop <= resize"),
        ({"resize": 10_000}, "<= 8192"),
        ({"crop": 2049, "resize": 2049}, "crop <= 2048"),
        ({"interpolation": "nearest"}, "choose one of bilinear, bicubic"),
        ({"resize_mode": "longer"}, "choose one of shorter, squash, pad, pad-black, none"),
        ({"std": (1.0, 0.0, 1.0)}, "std above 0"),
        ({"std": (1.0, 1.0)}, "three finite numbers"),
        ({"mean": (0.0, float("nan"), 0.0)}, "three finite numbers"),
        ({"std": (float("inf"), 1.0, 1.0)}, "three finite numbers"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Preprocess(**{"crop": 224, "resize": 256, **settings})


shares = st.floats(0, 1, allow_nan=False)
positive = st.floats(0.01, 2, allow_nan=False)


@settings(max_examples=30, deadline=None)
@given(
    crop=st.integers(1, 800),
    border=st.integers(0, 200),
    interpolation=st.sampled_from(sorted(INTERPOLATIONS)),
    mean=st.tuples(shares, shares, shares),
    std=st.tuples(positive, positive, positive),
)
def test_the_manifests_form_gives_the_same_settings_back(crop, border, interpolation, mean, std):
    import json

    mode = RESIZE_MODES[crop % len(RESIZE_MODES)]
    spec = Preprocess(
        crop=crop, resize=crop + border, interpolation=interpolation, mean=mean, std=std, resize_mode=mode
    )
    assert Preprocess.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": None}, "need exactly"),
        ({"bgr": True}, "need exactly"),
        ({"crop": "224"}, "need whole numbers"),
        ({"crop": 224.0}, "need whole numbers"),
        ({"resize": True}, "need whole numbers"),
        ({"mean": 0.5}, "three finite numbers"),
        ({"mean": [True, False, True]}, "three finite numbers"),
        ({"mean": [10**400, 0, 0]}, "three finite numbers"),
        ({"std": [1e-300, 1, 1]}, "from 1e-06 to 1000"),
        ({"std": ["a", "b", "c"]}, "three finite numbers"),
        ({"interpolation": ["bicubic"]}, "choose one of bilinear, bicubic"),
        ({"resize_mode": ["squash"]}, "choose one of shorter, squash"),
    ],
)
def test_a_form_with_other_keys_or_kinds_is_refused(change, message):
    values = {**Preprocess(crop=224, resize=256).to_dict(), **change}
    if change == {"crop": None}:
        del values["crop"]
    with pytest.raises(InputError, match=message):
        Preprocess.from_dict(values)
