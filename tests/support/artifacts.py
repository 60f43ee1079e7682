"""Artifact folders around the small programs, as `quantize` would have written them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quant.analysis.layer_report import LayerReport
from quant.artifact.model import Artifact, Golden, GoldenImage
from quant.artifact.recognise import SEAL, seal_of
from quant.artifact.write import write_artifact
from tests.support.images import COLOURS
from tests.support.programs import PREPROCESS, RIGHT, SIZE, ColourNet, colour_program

LAYER = LayerReport(
    node="conv2d",
    layer="stem",
    operator="product",
    precision="int8",
    seen=(-81.5, 85.25),
    grid=(-12.0, 18.0),
    clipped=0.001,
    sqnr_db=24.5,
    noise=0.75,
    noise_share=0.125,
)


def make_artifact(
    folder: Path,
    *,
    channels: tuple[int, ...] = RIGHT,
    classes: Sequence[str] = COLOURS,
    labelled: bool = True,
    calibrated_on: Sequence[Path] = (),
    drawn: Sequence[GoldenImage] = (),
    **manifest: Any,
) -> Artifact:
    """Write an artifact whose float program is right and whose model.pte reads `channels`."""
    pixels = np.linspace(0, 255, 3 * SIZE * SIZE).astype(np.uint8).reshape(SIZE, SIZE, 3)
    x = PREPROCESS.normalize(pixels)
    return write_artifact(
        folder,
        model=colour_program(channels),
        float_model=colour_program(RIGHT),
        classes=classes,
        golden=[
            Golden(
                image="val/red/0.jpg",
                input=x,
                output=ColourNet(channels)(x[None])[0],
                float_output=ColourNet(RIGHT)(x[None])[0],
            )
        ],
        layers=[LAYER],
        images=drawn,
        manifest={
            **manifest_fields(),
            "labelled": labelled,
            "photographs": {
                "calibration": [{"name": p.name, "sha256": sha256_of(p)} for p in calibrated_on],
                "evaluation": [],
            },
            **manifest,
        },
    )


def manifest_fields() -> dict[str, Any]:
    """What `quantize` puts into a manifest, for the colour programs."""
    return {
        "created": "2026-01-01T00:00:00+00:00",
        "variant": "b0",
        "activation": "swish",
        "sample_model": False,
        "image_size": SIZE,
        "preprocess": PREPROCESS.to_dict(),
        "input": {"shape": [1, 3, SIZE, SIZE], "dtype": "float32", "layout": "NCHW"},
        "output": {"shape": [1, 3], "dtype": "float32", "layout": "NC"},
        "recipe": {"name": "int8", "seed": 0},
        "backend": "xnnpack",
        "delegation": {"partitions": 1, "delegated": 3, "left": 0},
        "versions": {"torch": "2.13.0", "executorch": "1.4.1"},
        "weights": {"name": "w.pth", "origin": "timm", "sha256": "0" * 64},
        "verdict": {"verdict": "pass", "float": {}, "pte": {}},
    }


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest in place, as a hand with an editor would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def sign_again(folder: Path) -> None:
    """Make the manifest's sizes, hashes and seal those of the files as they are now."""

    def sign(manifest: dict[str, Any]) -> None:
        for name, entry in manifest["files"].items():
            entry.update({"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size})
        manifest[SEAL] = seal_of(manifest)

    edit_manifest(folder, sign)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
