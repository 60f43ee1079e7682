"""Float against .pte, tolerance and baseline -> verdict, with what a pass is to be taken with caution for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from edge_effnet.errors import InputError
from quant.common.findings import Finding, Severity, finding, messages
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a program is allowed."""

    max_drop: float
    """Top-1 that may be lost, points. Without labels it bounds the share of images that change class, which bounds
    the loss."""
    min_agreement: float | None
    """Share of the images that have to keep their class, 0..1; None asks for none."""
    baseline: Baseline | None
    """Earlier figures on the same images; top-1 (or agreement) may fall behind them by `max_drop` as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Figures against limits."""

    failures: tuple[Finding, ...]
    passes: tuple[str, ...]
    """A sentence for each limit that is kept."""


def compare(
    float_accuracy: Accuracy, pte_accuracy: Accuracy, pte: Fidelity, limits: Limits, *, images: int
) -> Compared:
    """Compare a program's figures with what is allowed.

    A program that has collapsed fails whatever is allowed, see `quant.thresholds`, and so does one that nothing can
    be said about.

    Args:
        float_accuracy: of the float network.
        pte_accuracy: of the program, on the same images.
        pte: the program's answers against float's.
        limits: what is allowed.
        images: that the figures are of.
    """
    failures: list[Finding] = []
    passes: list[str] = []
    if has_collapsed(pte, images):
        message = (
            f"collapsed: agrees with float on {100 * pte.agreement:.2f} % of images at {pte.sqnr_db:.1f} dB; "
            f"below {100 * COLLAPSE_AGREEMENT:.0f} % or {COLLAPSE_SQNR_DB:.0f} dB nothing else counts"
        )
        failures.append(finding("collapsed", message))
    wanted = limits.min_agreement
    if wanted is not None:
        sentence = f"agreement {100 * pte.agreement:.2f} %, at least {100 * wanted:.2f} wanted"
        if pte.agreement < wanted - SHARE_ROUNDING:
            failures.append(finding("agreement-low", sentence))
        else:
            passes.append(sentence)
    for code, reference, before, after, figure in _pairs(float_accuracy, pte_accuracy, pte, limits.baseline):
        drop = 100.0 * (before - after)
        sentence = (
            f"{figure} {100 * after:.2f} % against {100 * before:.2f} % of {reference}: "
            f"{drop:+.2f} points lost, {limits.max_drop:.2f} allowed"
        )
        if drop > limits.max_drop + SHARE_ROUNDING:
            failures.append(finding(code, sentence))
        else:
            passes.append(sentence)
    return Compared(failures=tuple(failures), passes=tuple(passes))


def _pairs(
    float_accuracy: Accuracy, pte_accuracy: Accuracy, pte: Fidelity, baseline: Baseline | None
) -> list[tuple[str, str, float, float, str]]:
    """What is compared: code of a failure, name of the reference, its share and the program's, and of what."""
    if float_accuracy.top1 is not None and pte_accuracy.top1 is not None:
        found = [("accuracy-drop", "float", float_accuracy.top1, pte_accuracy.top1, "top-1")]
        if baseline is not None and baseline.top1 is not None:
            found.append(("baseline-drop", "the baseline", baseline.top1, pte_accuracy.top1, "top-1"))
        return found
    found = [("accuracy-drop", "float", 1.0, pte.agreement, "agreement")]
    if baseline is not None:
        found.append(("baseline-drop", "the baseline", baseline.agreement, pte.agreement, "agreement"))
    return found


def decide(errors: Sequence[Finding], compared: Compared) -> Verdict:
    """Fail for any error, pass with the sentences of the limits that are kept."""
    reasons = messages((*errors, *compared.failures), Severity.ERROR)
    return Verdict(passed=not reasons, reasons=reasons or compared.passes)


def has_collapsed(pte: Fidelity, images: int) -> bool:
    """Whether a program sees so little of what float sees that it fails whatever is allowed.

    Args:
        pte: the program's answers against float's.
        images: that they are of.
    """
    collapsed = pte.agreement < COLLAPSE_AGREEMENT or pte.sqnr_db < COLLAPSE_SQNR_DB
    return collapsed and images >= COLLAPSE_IMAGES


def weak_evidence(
    float_logits: torch.Tensor,
    pte_logits: torch.Tensor,
    labels: torch.Tensor | None,
    limits: Limits,
    *,
    calibration: int,
) -> tuple[Finding, ...]:
    """Find why a pass is to be taken with caution: limits that other images might miss, few calibration images.

    Args:
        float_logits: [N, classes].
        pte_logits: [N, classes].
        labels: int64, [N]; None without labels.
        limits: what is allowed.
        calibration: images that ranges were fitted on; 0 for a program without any.
    """
    found = _near_limits(float_logits, pte_logits, labels, limits)
    if 0 < calibration < FEW_CALIBRATION:
        message = f"calibrated on {calibration} images; with fewer than {FEW_CALIBRATION} another draw may do worse"
        found.append(finding("few-calibration-images", message))
    return tuple(found)


def _near_limits(
    float_logits: torch.Tensor, pte_logits: torch.Tensor, labels: torch.Tensor | None, limits: Limits
) -> list[Finding]:
    count, bound = len(float_logits), f"{100 * (1 + CAUTION_CONFIDENCE) / 2:.0f} % bound"
    kept = wilson_interval(agreement(float_logits, pte_logits), count, confidence=CAUTION_CONFIDENCE)[0]
    if labels is None:
        lost, figure = 100.0 * (1.0 - kept), "agreement"
    else:
        interval = paired_drop_interval(float_logits, pte_logits, labels, confidence=CAUTION_CONFIDENCE)
        lost, figure = 100.0 * interval[1], "top-1"
    found = []
    if lost > limits.max_drop:
        message = (
            f"close to the limit: seen on {count} images, the loss may be {lost:.2f} points of {figure} "
            f"({bound}), {limits.max_drop:.2f} allowed; more images would tell"
        )
        found.append(finding("near-max-drop", message))
    if limits.min_agreement is not None and kept < limits.min_agreement:
        message = (
            f"close to the limit: seen on {count} images, agreement may be {100 * kept:.2f} % ({bound}), "
            f"{100 * limits.min_agreement:.2f} wanted; more images would tell"
        )
        found.append(finding("near-min-agreement", message))
    return found


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
