"""Networks that see one channel, or more than an image has, from weights to an artifact that is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps.device.check import check_on_device
from edge_effnet import InputError, Preprocess, load_checkpoint
from edge_effnet.images import open_rgb
from quant import check, open_artifact, quantize
from quant.artifact.predict import predict
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant", "quick_host")

SETTINGS = {"image_size": 32, "calibration": 16, "recipe": "int8-fast", "max_drop": 100}


def with_stem(tiny: TinyFiles, path: Path, weight: torch.Tensor) -> Path:
    """The tiny network with another first convolution, as a plain state dict."""
    tensors = load_checkpoint(tiny.weights).model.state_dict()
    torch.save({**tensors, "stem.conv.weight": weight}, path)
    return path


def gray_weights(tiny: TinyFiles, folder: Path) -> Path:
    """As timm makes them of colour weights: the three channels' filters summed."""
    weight = load_checkpoint(tiny.weights).model.stem.conv.weight.detach()
    return with_stem(tiny, folder / "gray.pth", weight.sum(dim=1, keepdim=True))


def test_gray_sees_the_luma_of_colours_and_grays_as_they_are(tmp_path: Path) -> None:
    gray = Preprocess(crop=16, resize=16, mean=(0.5,), std=(0.25,))
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "colour.png")
    Image.fromarray(noise[..., 0]).save(tmp_path / "gray.png")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 256 + 77).save(tmp_path / "sixteen.png")
    luma = np.asarray(Image.fromarray(noise).convert("L"))
    assert np.array_equal(gray.pixels(tmp_path / "colour.png"), luma[..., None])
    for name in ("gray", "sixteen"):
        assert np.array_equal(gray.pixels(tmp_path / f"{name}.png"), noise[..., :1])
    x = gray(tmp_path / "gray.png")
    assert x.shape == (1, 16, 16)
    assert torch.equal(gray.to_pixels(x), torch.from_numpy(noise[..., :1]))


@pytest.mark.parametrize("embedded", [False, True])
def test_a_gray_network_from_weights_to_a_checked_artifact(embedded: bool, tiny: TinyFiles, tmp_path: Path) -> None:
    weights = gray_weights(tiny, tmp_path)
    made = quantize(
        "lite0", weights=weights, data=tiny.data, out=tmp_path / "a", embed_preprocess=embedded, **SETTINGS
    )
    artifact = open_artifact(tmp_path / "a")
    assert artifact.manifest["preprocess"]["mean"] == [pytest.approx(0.449, abs=1e-3)]
    assert artifact.manifest["input"]["shape"] == ([1, 32, 32, 1] if embedded else [1, 1, 32, 32])
    assert any("images are read as gray" in finding.message for finding in made.outcome.findings)
    assert made.outcome.pte.sqnr_db > 15
    assert check(artifact.folder, data=tiny.data, max_drop=100).pte.sqnr_db > 15
    found = check_on_device(artifact.folder, device="host", data=tiny.data, limit=6, max_drop=100)
    assert found.same.identical == 6


def test_gray_is_trained_in_int8_too(tiny: TinyFiles, tmp_path: Path) -> None:
    settings = {**SETTINGS, "recipe": "qat-int8", "calibration": 36, "mean": (0.4,), "std": (0.3,)}
    from quant import QatOptions

    made = quantize(
        "lite0", weights=gray_weights(tiny, tmp_path), data=tiny.data, out=tmp_path / "a", qat=QatOptions(steps=2),
        **settings,
    )  # fmt: skip
    assert made.artifact.manifest["preprocess"]["std"] == [0.3]
    assert "--mean 0.4 --std 0.3" in " ".join(made.artifact.manifest["command"])


def arrays_of(images: Path, folder: Path) -> Path:
    """The images with a fourth channel, their luma, as arrays."""
    for path in sorted(images.rglob("*.jpg")):
        image = open_rgb(path)
        target = (folder / path.relative_to(images)).with_suffix(".npy")
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, np.dstack([np.asarray(image), np.asarray(image.convert("L"))]))
    return folder


def test_four_channels_from_arrays(tiny: TinyFiles, tmp_path: Path) -> None:
    weight = load_checkpoint(tiny.weights).model.stem.conv.weight.detach()
    weights = with_stem(tiny, tmp_path / "four.pth", torch.cat([weight, 0.1 * weight[:, :1]], dim=1))
    data = arrays_of(tiny.data, tmp_path / "arrays")
    settings = {"weights": weights, "data": data, "out": tmp_path / "a", **SETTINGS}
    with pytest.raises(InputError, match="takes 4 channels, an image has 3, or 1 in gray; give --mean and --std"):
        quantize("lite0", **settings)
    with pytest.raises(InputError, match="--mean has 3 numbers, the first convolution takes 4"):
        quantize("lite0", mean=(0.5,) * 3, std=(0.5,), **settings)
    made = quantize("lite0", mean=(0.485, 0.456, 0.406, 0.45), std=(0.225,), **settings)
    assert made.outcome.pte.sqnr_db > 15
    assert made.artifact.manifest["input"]["shape"] == [1, 4, 32, 32]
    assert check(tmp_path / "a", data=data, max_drop=100).pte.sqnr_db > 15
    found = predict(made.artifact, [data / "val"])
    assert len(found) == made.outcome.evaluation_images


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((16, 16, 3), np.uint8), "need \\[height, width, 4\\]"),
        (np.full((16, 16, 4), 2.0), "beyond 0 to 1"),
        (np.zeros((16, 16, 4), np.int64), "array of int64; need one of uint8"),
        (np.full((16, 16, 4), None), "not a readable array"),
    ],
)
def test_arrays_that_are_no_images(array: np.ndarray, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=said):
        Preprocess(crop=8, resize=8, mean=(0.5,) * 4, std=(0.5,) * 4).pixels(tmp_path / "x.npy")


@pytest.mark.parametrize("cut", [3, 60, 130, 400])
@pytest.mark.parametrize("save", [np.save, np.savez_compressed])
def test_damaged_arrays_are_named(save: Callable[..., None], cut: int, tmp_path: Path) -> None:
    path = tmp_path / ("x.npy" if save is np.save else "x.npz")
    save(path, np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8))
    data = path.read_bytes()
    for broken in (data[:cut], data[:cut] + bytes(8) + data[cut + 8 :]):
        path.write_bytes(broken)
        try:
            Preprocess(crop=8, resize=8, mean=(0.5,) * 4, std=(0.5,) * 4).pixels(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ")


@pytest.mark.parametrize("order", ["last", "first"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_arrays_in_every_form_give_the_same_pixels(order: str, kind: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    given = {"uint8": pixels, "uint16": pixels.astype(np.uint16) * 257, "float32": (pixels / 255).astype(np.float32)}
    array = given[kind] if order == "last" else given[kind].transpose(2, 0, 1)
    np.savez_compressed(tmp_path / "x.npz", array)
    found = Preprocess(crop=16, resize=16, mean=(0.5,) * 4, std=(0.5,) * 4).pixels(tmp_path / "x.npz")
    assert np.array_equal(found, pixels)
