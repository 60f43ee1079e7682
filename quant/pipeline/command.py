"""The command that makes an artifact again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_effnet.samples import SAMPLE
from quant.lower.options import BackendOptions
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.embedding import EMBEDDING
from quant.pipeline.handed_over import word_for
from quant.pipeline.request import Request, default_out
from quant.qat.options import QatOptions
from quant.recipes import DEFAULT_RECIPE
from quant.thresholds import DEFAULT_CALIBRATION, UNUSABLE_SHARE


def quantize_command(request: Request) -> tuple[str, ...]:
    """Return the command of a run word by word, paths as the user gave them, defaults left out."""
    config = request.config
    options: list[tuple[str, Any, Any]] = [
        ("--weights", SAMPLE if config.sample else config.weights_name, SAMPLE),
        ("--data", word_for(config.data), SAMPLE),
        ("--calibration-data", word_for(config.calibration_data), None),
        ("--evaluation-data", word_for(config.evaluation_data), None),
        ("--labels", word_for(config.labels), None),
        ("--image-column", config.image_column, None),
        ("--label-column", config.label_column, None),
        ("--classes", config.classes, None),
        ("--max-unusable", f"{config.max_unusable:g}", f"{100 * UNUSABLE_SHARE:g}"),
        ("--origin", config.origin, None),
        ("--image-size", config.image_size, None),
        ("--resize", config.resize, None),
        ("--crop", config.crop, None),
        ("--interpolation", config.interpolation, None),
        ("--resize-mode", config.resize_mode, None),
        ("--mean", _numbers(config.mean), None),
        ("--std", _numbers(config.std), None),
        ("--head", config.head, None),
        ("--task", None if request.task is EMBEDDING else request.task.name, CLASSES.name),
        ("--threshold", config.threshold, None),
        ("--output", config.output, None),
        ("--trained-activation", config.trained_activation, None),
        ("--activation", config.activation, None),
        ("--calibration", config.calibration, DEFAULT_CALIBRATION),
        ("--recipe", request.recipe.name, DEFAULT_RECIPE),
        *(("--backend", name, None) for name in config.backends if not request.alone),
        ("--out", str(request.out), default_out(request.spec.name, request.recipe.name, request.choices)),
        ("--compute-units", config.backend_options.compute_units, BackendOptions().compute_units),
        ("--ios", config.backend_options.ios, BackendOptions().ios),
        ("--soc", config.backend_options.soc, BackendOptions().soc),
        # Given, it asks for a search, even where it is the default's figure.
        (
            "--max-drop",
            f"{request.limits.max_drop:g}",
            f"{request.task.max_drop:g}" if _by_agreement(request) else None,
        ),
        ("--min-agreement", None if config.min_agreement is None else f"{config.min_agreement:g}", None),
        ("--seed", config.seed, 0),
        ("--threads", config.threads, 1),
        ("--epochs", f"{request.qat.epochs:g}", f"{QatOptions().epochs:g}"),
        ("--steps", request.qat.steps, None),
        ("--teacher", request.qat.teacher, QatOptions().teacher),
    ]
    given = [(name, str(value)) for name, value, default in options if value is not None and value != default]
    chosen = (("--no-ema", not config.ema), ("--embed-preprocess", config.embed_preprocess))
    flags = tuple(name for name, taken in chosen if taken)
    return ("quantize", "--variant", request.spec.name, *(word for option in given for word in option), *flags)


def _numbers(values: Sequence[float] | None) -> str | None:
    return None if values is None else ",".join(f"{value:g}" for value in values)


def _by_agreement(request: Request) -> bool:
    """Whether the run would be the same without `--max-drop` of its default."""
    searched = request.alone or request.mixes
    return request.config.min_agreement is not None or not (request.targeted and searched)
