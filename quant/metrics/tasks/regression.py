"""One number for each output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from quant.metrics.evaluate import NO_ACCURACY, Accuracy, Fidelity
from quant.metrics.tasks.task import NUMBERS, SQNR, PerImage, Row, Task, centred_fidelity
from quant.thresholds import COLLAPSE_SQNR_DB, NUMBERS_COLLAPSE_CORRELATION, NUMBERS_DROP_POINTS, NUMBERS_TOLERANCE

_LEAST = 1e-12


def _variance(values: torch.Tensor) -> torch.Tensor:
    """Of each output over the images, [outputs]."""
    return values.double().var(dim=0, correction=0).clamp_min(_LEAST)


def explained(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """R2 of each output, [outputs]: 1 less the squared error in units of the variance; both [N, outputs]."""
    return 1.0 - (outputs.double() - wanted).square().mean(dim=0) / _variance(wanted)


def correlation(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Pearson's, of each output, [outputs]; 0 where one does not vary."""
    x, y = (values.double() - values.double().mean(dim=0) for values in (outputs, wanted))
    return (x * y).sum(dim=0) / (x.square().sum(dim=0) * y.square().sum(dim=0)).sqrt().clamp_min(_LEAST)


def _per_image(reference: torch.Tensor, other: torch.Tensor, targets: torch.Tensor | None) -> PerImage:
    """Lost is R2; without targets that of errors which have nothing to do with float's own, at most."""
    noise = (other.double() - reference.double()).square()
    more = noise
    if targets is not None:
        before, after = ((values.double() - targets).square() for values in (reference, other))
        more = after - before
    deviation = _variance(reference).sqrt()
    return PerImage(
        kept=(noise.sqrt() <= NUMBERS_TOLERANCE * deviation).all(dim=1),
        lost=(more / _variance(reference if targets is None else targets)).mean(dim=1),
    )


def _figures(outputs: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    """On average over the outputs."""
    return {
        "mae": (outputs.double() - wanted).abs().mean().item(),
        "r2": explained(outputs, wanted).mean().item(),
        "correlation": correlation(outputs, wanted).mean().item(),
    }


def _accuracy(outputs: torch.Tensor, targets: torch.Tensor | None) -> Accuracy:
    return NO_ACCURACY if targets is None else replace(NO_ACCURACY, more=_figures(outputs, targets))


def _fidelity(reference: torch.Tensor, other: torch.Tensor) -> Fidelity:
    more = {f"float_{key}": value for key, value in _figures(other, reference.double()).items()}
    return centred_fidelity(reference, other, _per_image(reference, other, None).kept, **more)


def _each_output(
    reference: torch.Tensor, other: torch.Tensor, targets: torch.Tensor | None, names: Sequence[str]
) -> list[dict[str, Any]]:
    columns = {
        "deviation": _variance(reference).sqrt(),
        "float_mae": (other.double() - reference.double()).abs().mean(dim=0),
        "float_r2": explained(other, reference.double()),
    }
    if targets is not None:
        for who, values in (("float", reference), ("pte", other)):
            columns[f"{who}_label_mae"] = (values.double() - targets).abs().mean(dim=0)
            columns[f"{who}_label_r2"] = explained(values, targets)
    return [
        {"name": name, **{key: found[k].item() for key, found in columns.items()}} for k, name in enumerate(names)
    ]


def _answers(outputs: torch.Tensor, names: Sequence[str], images: Sequence[str]) -> list[str]:
    return [", ".join(f"{value:.4g}" for value in row) for row in outputs.tolist()]


def _constant(outputs: torch.Tensor) -> bool:
    return bool((_variance(outputs) <= _LEAST).any())


REGRESSION = Task(
    name="regression",
    summary="one number for each output",
    targets=NUMBERS,
    kinds=("logits",),
    rows=(
        Row(key="mae", title="MAE", factor=1.0, digits=4),
        Row(key="r2", title="R2, %"),
        Row(key="correlation", title="correlation", factor=1.0, digits=4),
        Row(key="agreement", title="within 0.1 deviations of float, %"),
        Row(key="float_mae", title="MAE against float", factor=1.0, digits=4),
        Row(key="float_r2", title="R2 against float, %"),
        Row(key="float_correlation", title="correlation with float", factor=1.0, digits=4),
        SQNR,
    ),
    bounded=("r2",),
    signal="r2",
    accuracy=_accuracy,
    fidelity=_fidelity,
    per_image=_per_image,
    constant=_constant,
    answers=_answers,
    each_output=_each_output,
    expected="R2",
    max_drop=NUMBERS_DROP_POINTS,
    same="value",
    floors={"float_correlation": NUMBERS_COLLAPSE_CORRELATION, "sqnr_db": COLLAPSE_SQNR_DB},
)
