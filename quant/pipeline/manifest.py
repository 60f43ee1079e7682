"""What an artifact says of itself: `manifest.json` but for what `quant.artifact.model` adds."""

from __future__ import annotations

import datetime
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quant.common.machine import machine
from quant.data.perceptual_hash import Calibrated
from quant.data.split import ImageRecord
from quant.lower.result import LoweredProgram
from quant.pipeline.command import quantize_command
from quant.pipeline.load import Loaded
from quant.pipeline.request import Request

_TENSOR = {"dtype": "float32", "layout": "NCHW"}
_PIXELS = {"dtype": "uint8", "layout": "NHWC"}


def describe(
    request: Request, network: Loaded, program: LoweredProgram, verdict: dict[str, Any], calibrated: Calibrated
) -> dict[str, Any]:
    """Say what a program was made from, how, and what was found out about it."""
    checkpoint, split = network.checkpoint, network.split
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "variant": request.spec.name,
        "activation": request.final_activation,
        "image_size": checkpoint.preprocess.crop,
        "labelled": bool(split.class_names or checkpoint.class_names),
        "preprocess": checkpoint.preprocess.to_dict(),
        "input": {"shape": list(program.input_shape), **(_PIXELS if program.takes_pixels else _TENSOR)},
        "output": {"shape": list(program.output_shape), "dtype": "float32", "layout": "NC"},
        "recipe": {**request.recipe.to_json(), "seed": request.seed},
        "sample_model": request.sample,
        "backend": request.backend,
        "delegation": asdict(program.delegation),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchao", "executorch", "numpy", "pillow", "edge-effnet")},
        },
        "machine": machine(),
        "weights": {"name": Path(request.weights).name, "origin": checkpoint.origin, "sha256": checkpoint.sha256},
        "photographs": {
            "calibration": [
                {**_named(image), "thumbnail": digits}
                for image, digits in zip(split.calibration, calibrated.to_hex(), strict=True)
            ],
            "evaluation": [_named(image) for image in split.evaluation],
            **({"training": [_named(image) for image in split.training]} if split.training else {}),
        },
        "command": list(quantize_command(request)),
        "verdict": verdict,
    }


def _named(image: ImageRecord) -> dict[str, str]:
    return {"name": image.name, "sha256": image.sha256}
