import numpy as np
import pytest
from PIL import Image

from edge_effnet.preprocess import IMAGENET_MEAN, INTERPOLATIONS, Preprocess
from tests.support.peers import timm, torchvision

SIZES = [(37, 53), (53, 37), (40, 40), (32, 41), (200, 33), (33, 8), (15, 9)]

# Squashing others, Pillow 13 begins with the columns, 12 with the rows as docs/preprocessing.md has it.
WIDE = [(width, height) for width, height in SIZES if height <= width]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(("resize", "crop"), [(32, 28), (32, 32), (33, 24)])
def test_pixels_equal_torchvisions_resize_and_center_crop(tmp_path, width, height, resize, crop, interpolation):
    transforms = torchvision.transforms
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    mode = transforms.InterpolationMode(interpolation)
    theirs = transforms.Compose([transforms.Resize(resize, interpolation=mode), transforms.CenterCrop(crop)])
    expected = np.asarray(theirs(Image.fromarray(noise)))
    found = Preprocess(crop=crop, resize=resize, interpolation=interpolation).pixels(tmp_path / "noise.png")
    assert found.dtype == np.uint8 and (found == expected).all()


CROP_MODES = [("shorter", "center", SIZES), ("squash", "squash", WIDE), ("pad", "border", SIZES)]


@pytest.mark.parametrize(
    ("mode", "crop_mode", "size"), [(*modes, size) for *modes, sizes in CROP_MODES for size in sizes]
)
def test_pixels_equal_timms_of_every_crop_mode(tmp_path, mode, crop_mode, size):
    width, height = size
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    for crop, share in ((32, 0.875), (33, 1.0)):
        config = {
            "input_size": (3, crop, crop),
            "crop_pct": share,
            "crop_mode": crop_mode,
            "interpolation": "bicubic",
        }
        theirs = timm.data.create_transform(**config, mean=IMAGENET_MEAN, normalize=False)
        preprocess = Preprocess.from_timm(config)
        assert preprocess.resize_mode == mode
        found = preprocess.pixels(tmp_path / "noise.png")
        assert (found == theirs(Image.fromarray(noise)).permute(1, 2, 0).numpy()).all()


def test_network_inputs_equal_torchvisions_to_tensor_and_normalize(tmp_path):
    transforms = torchvision.transforms
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    ours = Preprocess(crop=24, resize=32)
    theirs = transforms.Compose(
        [
            transforms.Resize(32, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(24),
            transforms.ToTensor(),
            transforms.Normalize(ours.mean, ours.std),
        ]
    )
    np.testing.assert_allclose(ours(tmp_path / "noise.png"), theirs(Image.fromarray(noise)), rtol=0, atol=1e-6)
