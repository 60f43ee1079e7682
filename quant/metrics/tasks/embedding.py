"""Features to compare images by: what counts is which images are near each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn.functional import normalize

from quant.data.classes import ANY
from quant.metrics.evaluate import NO_ACCURACY, Accuracy, Fidelity
from quant.metrics.tasks.task import CLASS, SQNR, PerImage, Row, Task, centred_fidelity
from quant.thresholds import COLLAPSE_SQNR_DB, FEATURES_COLLAPSE_COSINE, LEAD_SHARE

_CHUNK = 1024
"""Images whose similarities to all others are looked at together."""

_FEW = 5


def nearest(outputs: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the `count` images whose features [N, width] have the largest cosine with each image's, itself left out.

    Returns:
        Their indices, [N, at most count], nearest first, and the mean cosine with all others, [N].
    """
    unit = normalize(outputs.float(), dim=1)
    others = max(1, len(unit) - 1)
    found, means = [], []
    for start in range(0, len(unit), _CHUNK):
        cosines = unit[start : start + _CHUNK] @ unit.T
        rows = torch.arange(len(cosines))
        means.append((cosines.sum(dim=1) - cosines[rows, start + rows]) / others)
        cosines[rows, start + rows] = -torch.inf
        found.append(cosines.topk(min(count, others), dim=1).indices)
    return torch.cat(found), torch.cat(means)


def _cosines(outputs: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Of each image with the one of that index, float64 [N]."""
    unit = normalize(outputs.double(), dim=1)
    return (unit * unit[which]).sum(dim=1)


def _per_image(reference: torch.Tensor, other: torch.Tensor, targets: torch.Tensor | None) -> PerImage:
    """Lost is a nearest image of the same class.

    Without targets it is `LEAD_SHARE` of the lead that float's nearest image has over others, in units of the average
    lead.
    """
    (before, means), (after, _) = nearest(reference, 1), nearest(other, 1)
    before, after = before[:, 0], after[:, 0]
    if targets is not None:
        lost = (targets[before] == targets).double() - (targets[after] == targets).double()
    else:
        best = _cosines(reference, before)
        lost = LEAD_SHARE * (best - _cosines(reference, after)) / (best - means).mean().clamp_min(1e-12)
    return PerImage(kept=before == after, lost=lost)


def _accuracy(outputs: torch.Tensor, targets: torch.Tensor | None) -> Accuracy:
    if targets is None:
        return NO_ACCURACY
    same = targets[nearest(outputs, _FEW)[0]] == targets[:, None]
    more = {"class_at_1": same[:, 0].double().mean().item(), "class_at_5": same.double().mean().item()}
    return replace(NO_ACCURACY, more=more)


def _fidelity(reference: torch.Tensor, other: torch.Tensor) -> Fidelity:
    cosine = torch.nn.functional.cosine_similarity(reference.double(), other.double(), dim=1)
    (before, _), (after, _) = nearest(reference, _FEW), nearest(other, _FEW)
    shared = (before[:, :, None] == after[:, None, :]).any(dim=2)
    return centred_fidelity(
        reference,
        other,
        before[:, 0] == after[:, 0],
        agreement_at_5=shared.double().mean().item(),
        cosine=cosine.mean().item(),
        cosine_low=cosine.quantile(0.05).item(),
        expected_loss=_per_image(reference, other, None).share,
    )


def _answers(outputs: torch.Tensor, names: Sequence[str], images: Sequence[str]) -> list[str]:
    return [images[index] for index in nearest(outputs, 1)[0][:, 0].tolist()]


def _constant(outputs: torch.Tensor) -> bool:
    return bool((_cosines(outputs, torch.zeros(len(outputs), dtype=torch.int64)) > 1 - 1e-6).all())


EMBEDDING = Task(
    name="embedding",
    summary="features to compare images by their cosine (--head none)",
    targets=CLASS,
    kinds=("logits",),
    rows=(
        Row(key="class_at_1", title="nearest image of its class, %"),
        Row(key="class_at_5", title="nearest five of its class, %"),
        Row(key="agreement", title="nearest image as float's, %"),
        Row(key="agreement_at_5", title="nearest five as float's, %"),
        Row(key="expected_loss", title="of its class, expected loss, %"),
        Row(key="cosine", title="cosine to float", factor=1.0, digits=4),
        Row(key="cosine_low", title="  5th percentile", factor=1.0, digits=4),
        SQNR,
    ),
    bounded=("class_at_1",),
    signal="class_at_1",
    accuracy=_accuracy,
    fidelity=_fidelity,
    folders=ANY,
    per_image=_per_image,
    constant=_constant,
    answers=_answers,
    expected="nearest image of its class",
    same="nearest image",
    floors={"cosine": FEATURES_COLLAPSE_COSINE, "sqnr_db": COLLAPSE_SQNR_DB},
)
