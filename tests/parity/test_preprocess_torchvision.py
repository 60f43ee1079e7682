import numpy as np
import pytest
from PIL import Image

from edge_effnet.preprocess import INTERPOLATIONS, Preprocess
from tests.support.peers import torchvision

SIZES = [(37, 53), (53, 37), (40, 40), (32, 41), (200, 33), (33, 8), (15, 9)]


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
