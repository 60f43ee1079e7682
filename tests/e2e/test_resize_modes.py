"""Images that are squashed, padded or taken as they are, from the options to every reader of the artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from apps.device.check import check_on_device
from edge_effnet import InputError, load_checkpoint
from edge_effnet.weights.resizing import Geometry
from quant import check, open_artifact, quantize
from quant.artifact.predict import predict
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant", "quick_host")

SETTINGS = {"calibration": 16, "recipe": "int8-fast", "max_drop": 100}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resize": "32x32"}, {"crop": 32, "resize": 32, "resize_mode": "squash"}),
        (
            # Float's graph and its program differ by rounding: of the draws, one that hardly shows it.
            {
                "seed": 2,
                "resize": 40,
                "crop": 32,
                "resize_mode": "pad",
                "interpolation": "bilinear",
                "embed_preprocess": True,
            },
            {"crop": 32, "resize": 40, "resize_mode": "pad", "interpolation": "bilinear"},
        ),
    ],
)
def test_an_artifact_keeps_its_geometry(
    options: dict[str, Any], expected: dict[str, Any], tiny: TinyFiles, tmp_path: Path
) -> None:
    wide = widened(tiny.data, tmp_path / "wide")
    made = quantize("lite0", weights=tiny.weights, data=wide, out=tmp_path / "a", **SETTINGS, **options)
    artifact = open_artifact(tmp_path / "a")
    kept = artifact.manifest["preprocess"]
    assert {key: kept[key] for key in expected} == expected
    command = " ".join(artifact.manifest["command"])
    assert f"--resize {options['resize']}" in command and ("--resize-mode pad" in command) == ("crop" in options)
    assert check(artifact.folder, data=wide, max_drop=100).pte.sqnr_db == pytest.approx(made.outcome.pte.sqnr_db)
    found = check_on_device(artifact.folder, device="host", data=wide, limit=6, max_drop=100)
    assert found.same.identical == 6
    assert len(predict(artifact, [wide / "val"])) == made.outcome.evaluation_images
    for golden in json.loads((artifact.folder / "manifest.json").read_text())["golden_photographs"]:
        pixels = artifact.preprocess.pixels(artifact.folder / golden["photograph"])
        assert pixels.tobytes() == (artifact.folder / golden["pixels"]).read_bytes()


def widened(images: Path, folder: Path) -> Path:
    """The images one and a half times as wide, so that geometries differ."""
    for path in sorted(images.rglob("*.jpg")):
        with Image.open(path) as image:
            target = folder / path.relative_to(images)
            target.parent.mkdir(parents=True, exist_ok=True)
            image.resize((image.width * 3 // 2, image.height)).save(target)
    return folder


def test_images_of_the_networks_size_are_taken_as_they_are(tiny: TinyFiles, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(tiny.weights, geometry=Geometry(resize="none", crop=16))
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "as_is.png")
    assert np.array_equal(checkpoint.preprocess.pixels(tmp_path / "as_is.png"), noise)
    with pytest.raises(InputError, match="the resize mode none takes squares of 32 as they are"):
        quantize(
            "lite0",
            weights=tiny.weights,
            data=tiny.data,
            out=tmp_path / "a",
            resize="none",
            image_size=32,
            **SETTINGS,
        )
