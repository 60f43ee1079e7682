"""Any of several labels: every output says yes or no by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from quant.metrics.evaluate import NO_ACCURACY, Accuracy, Fidelity
from quant.metrics.tasks.task import LABELS, SQNR, PerImage, Row, Task, centred_fidelity
from quant.thresholds import COLLAPSE_SQNR_DB, LABELS_COLLAPSE_F1, SURE_MARGIN

NOTHING = "(none)"


def average_precision(scores: torch.Tensor, positive: torch.Tensor) -> float | None:
    """Area under precision over recall, stepwise, 0..1; equal scores count as one threshold.

    Of one label's `scores` [N] where `positive` bool [N] is the truth; None without a positive image.
    """
    if not positive.any():
        return None
    order = scores.argsort(descending=True)
    found, right = scores[order], positive[order].double().cumsum(0)
    last = torch.cat([found[1:] != found[:-1], torch.tensor([True])])
    reached = right[last] / right[-1]
    precision = right[last] / (last.nonzero().flatten() + 1)
    return (reached.diff(prepend=torch.zeros(1)) * precision).sum().item()


def f1(said: torch.Tensor, positive: torch.Tensor) -> float:
    """2 * (right yes) / (yes said + yes there), both bool of one shape; 1 where there is no yes at all."""
    total = said.sum().item() + positive.sum().item()
    return 2.0 * (said & positive).sum().item() / total if total else 1.0


def _f1_by_image(yes: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """F1 over all labels, its mean, with each image's influence on it: float64 [N].

    Of what was said, bool [N, labels], and whether it is so, or how likely, [N, labels].
    """
    right, total = (yes * positive).sum(dim=1), yes.sum(dim=1) + positive.sum(dim=1)
    whole = total.sum().clamp_min(1e-12)
    score = 2.0 * right.sum() / whole
    return score + len(yes) * (2.0 * right - score * total) / whole


def _per_image(reference: torch.Tensor, other: torch.Tensor, targets: torch.Tensor | None) -> PerImage:
    before, after = reference > 0, other > 0
    positive = reference.double().sigmoid() if targets is None else targets.double()
    sure = (2.0 * positive - 1.0).abs() >= SURE_MARGIN
    return PerImage(
        kept=(before == after).all(dim=1),
        lost=_f1_by_image(before, positive) - _f1_by_image(after, positive),
        sure=((before == after) | ~sure).all(dim=1) if targets is None else None,
    )


def _accuracy(outputs: torch.Tensor, targets: torch.Tensor | None) -> Accuracy:
    if targets is None:
        return NO_ACCURACY
    yes, positive = outputs > 0, targets > 0.5
    precisions = [average_precision(outputs[:, k], positive[:, k]) for k in range(outputs.shape[1])]
    known = [each for each in precisions if each is not None]
    more = {
        "f1": f1(yes, positive),
        "map": sum(known) / len(known) if known else 0.0,
        "exact": (yes == positive).all(dim=1).double().mean().item(),
        "label_right": (yes == positive).double().mean().item(),
    }
    return replace(NO_ACCURACY, more=more)


def _fidelity(reference: torch.Tensor, other: torch.Tensor) -> Fidelity:
    before, after = reference > 0, other > 0
    found = _per_image(reference, other, None)
    agreement, float_f1 = (before == after).double().mean().item(), f1(after, before)
    return centred_fidelity(
        reference, other, found.kept, label_agreement=agreement, float_f1=float_f1, expected_loss=found.share
    )


def _each_output(
    reference: torch.Tensor, other: torch.Tensor, targets: torch.Tensor | None, names: Sequence[str]
) -> list[dict[str, Any]]:
    before, after = reference > 0, other > 0
    positive = before if targets is None else targets > 0.5
    return [
        {
            "name": name,
            "yes": int(positive[:, k].sum()),
            "float_yes": int(before[:, k].sum()),
            "pte_yes": int(after[:, k].sum()),
            "kept": int((before[:, k] == after[:, k]).sum()),
            "float_f1": None if targets is None else f1(before[:, k], positive[:, k]),
            "pte_f1": f1(after[:, k], positive[:, k]),
            "float_ap": None if targets is None else average_precision(reference[:, k], positive[:, k]),
            "pte_ap": average_precision(other[:, k], positive[:, k]),
        }
        for k, name in enumerate(names)
    ]


def _answers(outputs: torch.Tensor, names: Sequence[str], images: Sequence[str]) -> list[str]:
    return [", ".join(name for name, value in zip(names, row, strict=True) if value > 0) or NOTHING
            for row in outputs.tolist()]  # fmt: skip


def _constant(outputs: torch.Tensor) -> bool:
    return bool(((outputs > 0) == (outputs[:1] > 0)).all())


MULTILABEL = Task(
    name="multilabel",
    summary="any of several labels: each output says yes from --threshold",
    targets=LABELS,
    kinds=("sigmoid", "logits"),
    rows=(
        Row(key="map", title="mAP, %"),
        Row(key="f1", title="F1, %"),
        Row(key="exact", title="all labels right, %"),
        Row(key="agreement", title="all labels as float, %"),
        Row(key="label_agreement", title="labels as float, %"),
        Row(key="float_f1", title="F1 against float, %"),
        Row(key="expected_loss", title="F1 expected to be lost, points"),
        SQNR,
    ),
    bounded=("f1", "map"),
    signal="map",
    accuracy=_accuracy,
    fidelity=_fidelity,
    threshold=0.5,
    per_image=_per_image,
    constant=_constant,
    answers=_answers,
    each_output=_each_output,
    expected="F1",
    same="labels",
    floors={"float_f1": LABELS_COLLAPSE_F1, "sqnr_db": COLLAPSE_SQNR_DB},
)
