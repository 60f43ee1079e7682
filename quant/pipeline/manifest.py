"""What an artifact says of itself: `manifest.json` but for what `quant.artifact.model` adds, and its command."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterator
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from edge_effnet.head import LINEAR
from edge_effnet.samples import SAMPLE
from quant.artifact.recognise import IN_MEMORY
from quant.data.readers.in_memory import is_in_memory
from quant.data.split import ImageRecord
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.embedding import EMBEDDING
from quant.pipeline.config import QuantizeConfig
from quant.pipeline.judge import Run
from quant.pipeline.load import Loaded
from quant.pipeline.programs import Program
from quant.pipeline.request import Request, default_out
from quant.qat.options import QatOptions

_TENSOR = {"dtype": "float32", "layout": "NCHW"}
_PIXELS = {"dtype": "uint8", "layout": "NHWC"}


def describe(run: Run, program: Program, verdict: dict[str, Any]) -> dict[str, Any]:
    """Say what one of a run's programs was made from, how, and what was found out about it.

    `verdict` is what `Outcome.to_json` gives, or what stands for it where this host does not run the program.
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
        "sample_model": request.config.sample,
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
                for image, digits in zip(split.calibration, run.calibration.seen.to_hex(), strict=True)
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


def machine() -> dict[str, Any]:
    """`processor`, the kind that this process computes on, and `threads`, on how many torch does.

    ATen, oneDNN and MKL choose kernels by the processor's instructions, and cut sums by the number of threads.
    """
    kind = f"{processor_name()} ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return {"processor": kind, "threads": torch.get_num_threads()}


def processor_name() -> str:
    """What the processor calls itself, where Linux says so; else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


_FOLDERS = ("data", "calibration_data", "evaluation_data", "labels")
_UNSAID = ("model", "preprocess")
"""What a command line cannot say: options that it has stand for them."""
_OF_TRAINING = ("epochs", "steps", "teacher")
_AT_THE_END = ("ema", "embed_preprocess")


def quantize_command(request: Request) -> tuple[str, ...]:
    """Return the command of a run word by word, paths as the user gave them, defaults left out."""
    config = request.config
    out, limit = str(request.out), request.limits.max_drop
    said = {each.name: getattr(config, each.name) for each in fields(config) if each.name not in _AT_THE_END}
    # Something in memory by its class.
    in_memory = [name for name in _FOLDERS if is_in_memory(said[name])]
    said |= {name: f"{type(said[name]).__name__}{IN_MEMORY}" for name in in_memory} | {
        "variant": request.spec.name,
        "weights": SAMPLE if config.sample else config.weights_name,
        "task": None if request.task is EMBEDDING else request.task.name,
        "backend": () if request.alone else config.backends,
        "out": None if out == default_out(request.spec.name, request.recipe.name, request.choices) else out,
        "qat": None,
        # Given, it asks for a search, even where it is the default's figure.
        "max_drop": None if _by_agreement(request) and limit == request.task.max_drop else limit,
    }
    flags = [*([] if config.ema else ["--no-ema"]), *(["--embed-preprocess"] if config.embed_preprocess else [])]
    training = {name: getattr(request.qat, name) for name in _OF_TRAINING}
    return ("quantize", *_words(said, QuantizeConfig()), *_words(training, QatOptions()), *flags)


def _words(said: dict[str, Any], usual: Any) -> Iterator[str]:
    """Options and their values, but for what is as usual; those of a config within follow in its place."""
    for name, value in said.items():
        if name in _UNSAID or value is None or value == getattr(usual, name):
            continue
        if hasattr(value, "__dataclass_fields__"):
            yield from _words({each.name: getattr(value, each.name) for each in fields(value)}, type(value)())
            continue
        for each in value if name == "backend" else [value]:
            yield f"--{name.replace('_', '-')}"
            yield _text(each)


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _by_agreement(request: Request) -> bool:
    """Whether the run would be the same without `--max-drop` of its default."""
    searched = request.alone or request.mixes
    return request.config.min_agreement is not None or not (request.targeted and searched)
