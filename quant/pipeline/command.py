"""The command that makes an artifact again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from edge_effnet.samples import SAMPLE
from quant.metrics.tasks.embedding import EMBEDDING
from quant.pipeline.config import QuantizeConfig
from quant.pipeline.handed_over import word_for
from quant.pipeline.request import Request, default_out
from quant.qat.options import QatOptions

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
    said |= {name: word_for(said[name]) for name in _FOLDERS} | {
        "variant": request.spec.name,
        "weights": SAMPLE if config.sample else config.weights_name,
        "task": None if request.task is EMBEDDING else request.task.name,
        "backend": () if request.alone else config.backends,
        "out": None if out == default_out(request.spec.name, request.recipe.name, request.choices) else out,
        # Given, it asks for a search, even where it is the default's figure.
        "qat": None,
        "max_drop": None if _by_agreement(request) and limit == request.task.max_drop else limit,
    }
    flags = [name for name, given in (("--no-ema", not config.ema), ("--embed-preprocess", config.embed_preprocess))
             if given]  # fmt: skip
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
    return request.config.min_agreement is not None or not (request.targeted and request.alone)
