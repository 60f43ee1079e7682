"""The command that makes an artifact again, and what a change of its options makes of it."""

from __future__ import annotations

from typing import Any

from edge_effnet.samples import SAMPLE
from quant.lower.options import BackendOptions
from quant.pipeline.request import Request, default_out
from quant.qat.options import QatOptions
from quant.recipes import DEFAULT_RECIPE
from quant.thresholds import DEFAULT_CALIBRATION, MAX_DROP_POINTS


def quantize_command(request: Request) -> tuple[str, ...]:
    """Return the command of a run word by word, paths as the user gave them, defaults left out."""
    options: list[tuple[str, Any, Any]] = [
        ("--weights", request.weights, SAMPLE),
        ("--data", request.data, SAMPLE),
        ("--origin", request.options.origin, None),
        ("--image-size", request.options.image_size, None),
        ("--activation", request.activation, None),
        ("--calibration", request.calibration, DEFAULT_CALIBRATION),
        ("--recipe", request.recipe.name, DEFAULT_RECIPE),
        *(("--backend", name, None) for name in request.backends),
        ("--out", str(request.out), default_out(request.spec.name, request.recipe.name, request.backend)),
        ("--compute-units", request.backend_options.compute_units, BackendOptions().compute_units),
        ("--ios", request.backend_options.ios, BackendOptions().ios),
        # Given, it asks for a search, even where it is the default's figure.
        ("--max-drop", f"{request.max_drop:g}", f"{MAX_DROP_POINTS:g}" if _by_agreement(request) else None),
        ("--min-agreement", _percent(request.min_agreement), None),
        ("--seed", request.seed, 0),
        ("--threads", request.threads, 1),
        ("--epochs", f"{request.qat.epochs:g}", f"{QatOptions().epochs:g}"),
        ("--steps", request.qat.steps, None),
        ("--teacher", request.qat.teacher, QatOptions().teacher),
    ]
    given = [(name, str(value)) for name, value, default in options if value is not None and value != default]
    flags = ("--embed-preprocess",) if request.embed_preprocess else ()
    return ("quantize", "--variant", request.spec.name, *(word for option in given for word in option), *flags)


def _by_agreement(request: Request) -> bool:
    """Whether the run would be the same without `--max-drop` of its default."""
    return request.min_agreement is not None or not request.targeted


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:g}"
