"""What a pass is to be taken with caution for: limits that other photographs might miss, and weak evidence."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.metrics import agreement, paired_drop_interval, wilson_interval
from quant.tolerances import CAUTION_CONFIDENCE, FEW_CALIBRATION


def cautions(
    float_logits: torch.Tensor,
    pte_logits: torch.Tensor,
    labels: torch.Tensor | None,
    *,
    max_drop: float,
    min_agreement: float | None,
    calibration: int,
    suspicions: Sequence[str],
) -> tuple[str, ...]:
    """Return a sentence for each reason to take a pass with caution.

    Args:
        float_logits: [N, classes].
        pte_logits: [N, classes].
        labels: int64, [N]; None without labels.
        max_drop: top-1 (without labels, photographs) that may be lost, points.
        min_agreement: share of the photographs that have to keep their class, 0..1; None asks for none.
        calibration: photographs that ranges were fitted on; 0 for a program without any.
        suspicions: sentences about the photographs, passed on.
    """
    found = [*_near_limits(float_logits, pte_logits, labels, max_drop, min_agreement)]
    if 0 < calibration < FEW_CALIBRATION:
        found.append(
            f"calibrated on {calibration} photographs; with fewer than {FEW_CALIBRATION} another draw may do worse"
        )
    return (*found, *suspicions)


def _near_limits(
    float_logits: torch.Tensor,
    pte_logits: torch.Tensor,
    labels: torch.Tensor | None,
    max_drop: float,
    min_agreement: float | None,
) -> list[str]:
    count, bound = len(float_logits), f"{100 * (1 + CAUTION_CONFIDENCE) / 2:.0f} % bound"
    kept = wilson_interval(agreement(float_logits, pte_logits), count, confidence=CAUTION_CONFIDENCE)[0]
    if labels is None:
        lost, figure = 100.0 * (1.0 - kept), "agreement"
    else:
        lost, figure = (
            100.0 * paired_drop_interval(float_logits, pte_logits, labels, confidence=CAUTION_CONFIDENCE)[1],
            "top-1",
        )
    found = []
    if lost > max_drop:
        found.append(
            f"close to the limit: seen on {count} photographs, the loss may be {lost:.2f} points of {figure} "
            f"({bound}), {max_drop:.2f} allowed; more photographs would tell"
        )
    if min_agreement is not None and kept < min_agreement:
        found.append(
            f"close to the limit: seen on {count} photographs, agreement may be {100 * kept:.2f} % ({bound}), "
            f"{100 * min_agreement:.2f} wanted; more photographs would tell"
        )
    return found
