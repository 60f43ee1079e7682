"""Float against .pte, tolerance and baseline -> verdict, with what a pass is to be taken with caution for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from edge_effnet.errors import InputError
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.metrics import agreement, paired_drop_interval, wilson_interval
from quant.thresholds import (
    CAUTION_CONFIDENCE,
    COLLAPSE_AGREEMENT,
    COLLAPSE_IMAGES,
    COLLAPSE_SQNR_DB,
    FEW_CALIBRATION,
    SHARE_ROUNDING,
)
from quant.verdict.baseline import Baseline


@dataclass(frozen=True, slots=True)
class Verdict:
    """Pass or fail, and why."""

    passed: bool
    reasons: tuple[str, ...]
    """Sentences with the figures; at least one."""
    cautions: tuple[str, ...] = ()
    """What a pass is to be taken with caution for."""


def judge(
    float_accuracy: Accuracy,
    pte_accuracy: Accuracy,
    pte: Fidelity,
    *,
    max_drop: float,
    images: int,
    min_agreement: float | None = None,
    baseline: Baseline | None = None,
    doubts: Sequence[str] = (),
) -> Verdict:
    """Decide whether the .pte still sees what the float network saw.

    A program that has collapsed fails whatever is allowed, see `quant.thresholds`, and so does one that nothing can
    be said about.

    Args:
        float_accuracy: of the float network.
        pte_accuracy: of the program, on the same images.
        pte: the program's answers against float's.
        max_drop: top-1 that may be lost, points. Without labels it bounds the share of images that change
            class, which bounds the loss.
        images: that the figures are of.
        min_agreement: share of the images that have to keep their class, 0..1; None asks for none.
        baseline: earlier figures on the same images; top-1 (or agreement) may fall behind them by
            `max_drop` as well.
        doubts: reasons not to believe the figures (`quant.doubts`).
    """
    failures = list(doubts)
    passes: list[str] = []
    if has_collapsed(pte, images):
        failures.append(
            f"collapsed: agrees with float on {100 * pte.agreement:.2f} % of images at {pte.sqnr_db:.1f} dB; "
            f"below {100 * COLLAPSE_AGREEMENT:.0f} % or {COLLAPSE_SQNR_DB:.0f} dB nothing else counts"
        )
    if min_agreement is not None:
        sentence = f"agreement {100 * pte.agreement:.2f} %, at least {100 * min_agreement:.2f} wanted"
        (failures if pte.agreement < min_agreement - SHARE_ROUNDING else passes).append(sentence)
    if float_accuracy.top1 is not None and pte_accuracy.top1 is not None:
        compared = [("float", float_accuracy.top1, pte_accuracy.top1, "top-1")]
        if baseline is not None and baseline.top1 is not None:
            compared.append(("the baseline", baseline.top1, pte_accuracy.top1, "top-1"))
    else:
        compared = [("float", 1.0, pte.agreement, "agreement")]
        if baseline is not None:
            compared.append(("the baseline", baseline.agreement, pte.agreement, "agreement"))
    for reference, before, after, figure in compared:
        drop = 100.0 * (before - after)
        sentence = (
            f"{figure} {100 * after:.2f} % against {100 * before:.2f} % of {reference}: "
            f"{drop:+.2f} points lost, {max_drop:.2f} allowed"
        )
        (failures if drop > max_drop + SHARE_ROUNDING else passes).append(sentence)
    return Verdict(passed=not failures, reasons=tuple(failures or passes))


def has_collapsed(pte: Fidelity, images: int) -> bool:
    """Whether a program sees so little of what float sees that it fails whatever is allowed.

    Args:
        pte: the program's answers against float's.
        images: that they are of.
    """
    collapsed = pte.agreement < COLLAPSE_AGREEMENT or pte.sqnr_db < COLLAPSE_SQNR_DB
    return collapsed and images >= COLLAPSE_IMAGES


def check_max_drop(max_drop: float) -> float:
    """Return `max_drop` if it is one.

    Raises:
        InputError: not within 0..100 points.
    """
    if not (math.isfinite(max_drop) and 0.0 <= max_drop <= 100.0):
        raise InputError(f"--max-drop {max_drop}: need a number of points from 0 to 100.")
    return max_drop


def check_min_agreement(percent: float | None) -> float | None:
    """Return the share of 1 that a percentage asks for.

    Raises:
        InputError: not within 0..100 percent.
    """
    if percent is None:
        return None
    if not (math.isfinite(percent) and 0.0 <= percent <= 100.0):
        raise InputError(f"--min-agreement {percent}: need a percentage from 0 to 100.")
    return percent / 100.0


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
        max_drop: top-1 (without labels, images) that may be lost, points.
        min_agreement: share of the images that have to keep their class, 0..1; None asks for none.
        calibration: images that ranges were fitted on; 0 for a program without any.
        suspicions: sentences about the images, passed on.
    """
    found = [*_near_limits(float_logits, pte_logits, labels, max_drop, min_agreement)]
    if 0 < calibration < FEW_CALIBRATION:
        found.append(
            f"calibrated on {calibration} images; with fewer than {FEW_CALIBRATION} another draw may do worse"
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
            f"close to the limit: seen on {count} images, the loss may be {lost:.2f} points of {figure} "
            f"({bound}), {max_drop:.2f} allowed; more images would tell"
        )
    if min_agreement is not None and kept < min_agreement:
        found.append(
            f"close to the limit: seen on {count} images, agreement may be {100 * kept:.2f} % ({bound}), "
            f"{100 * min_agreement:.2f} wanted; more images would tell"
        )
    return found
