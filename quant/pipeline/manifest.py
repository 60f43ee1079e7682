"""What an artifact says of itself: `manifest.json` but for what `quant.artifact.model` adds."""

from __future__ import annotations

import datetime
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_effnet.head import LINEAR
from quant.common.machine import machine
from quant.data.split import ImageRecord
from quant.metrics.tasks.classes import CLASSES
from quant.pipeline.command import quantize_command
from quant.pipeline.judge import Run
from quant.pipeline.load import Loaded
from quant.pipeline.programs import Program

_TENSOR = {"dtype": "float32", "layout": "NCHW"}
_PIXELS = {"dtype": "uint8", "layout": "NHWC"}


def describe(run: Run, program: Program, verdict: dict[str, Any]) -> dict[str, Any]:
    """Say what a program was made from, how, and what was found out about it.

    Args:
        run: that it is of.
        program: one of its programs.
        verdict: what `Outcome.to_json` gives, or what stands for it where this host does not run the program.
    """
    request, network, choice, lowered = run.request, run.network, program.choice, program.lowered
    checkpoint, split = network.checkpoint, network.split
    recipe = {"name": choice.precision} if choice.placement is None else request.recipe.to_json()
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "variant": request.spec.name,
        "activation": request.final_activation,
        **({} if network.model.head_steps == LINEAR else {"head": network.model.head_steps}),
        **_task(network),
        "image_size": checkpoint.preprocess.crop,
        "labelled": network.labelled,
        "preprocess": checkpoint.preprocess.to_dict(),
        "input": {"shape": list(lowered.input_shape), **(_PIXELS if lowered.takes_pixels else _TENSOR)},
        "output": {"shape": list(lowered.output_shape), **program.output.to_manifest()},
        "recipe": {**recipe, "seed": request.config.seed},
        "sample_model": request.sample,
        "backend": choice.backend.name,
        # The default's artifact stands alone and has none.
        **({} if request.alone else {"precision": choice.precision}),
        "delegation": asdict(lowered.delegation),
        **({"npu": dict(lowered.npu)} if lowered.npu else {}),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchao", "executorch", "numpy", "pillow", "edge-effnet")},
        },
        "machine": machine(),
        "weights": {
            "name": Path(request.config.weights_name).name,
            "origin": checkpoint.origin,
            "sha256": checkpoint.sha256,
        },
        "photographs": {
            "calibration": [
                {**_named(image), "thumbnail": digits}
                for image, digits in zip(split.calibration, run.calibrated.to_hex(), strict=True)
            ],
            "evaluation": [_named(image) for image in split.evaluation],
            **({"training": [_named(image) for image in split.training]} if split.training else {}),
        },
        "command": list(quantize_command(request)),
        "verdict": verdict,
    }


def _task(network: Loaded) -> dict[str, Any]:
    """The task, but for that of one of several classes."""
    task = network.task
    if task is CLASSES:
        return {}
    negative = {"negative": network.class_names[0]} if task.column_added else {}
    return {"task": {**task.to_manifest(), **negative}}


def _named(image: ImageRecord) -> dict[str, str]:
    return {"name": image.name, "sha256": image.sha256}
