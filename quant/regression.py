"""Float against .pte, tolerance and baseline -> verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_effnet.errors import InputError
from quant.baseline import Baseline
from quant.evaluate import Accuracy, Fidelity
from quant.tolerances import COLLAPSE_AGREEMENT, COLLAPSE_PHOTOGRAPHS, COLLAPSE_SQNR_DB, SHARE_ROUNDING


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
    photographs: int,
    min_agreement: float | None = None,
    baseline: Baseline | None = None,
    doubts: Sequence[str] = (),
) -> Verdict:
    """Decide whether the .pte still sees what the float network saw.

    A program that has collapsed fails whatever is allowed, see `quant.tolerances`, and so does one that nothing can
    be said about.

    Args:
        float_accuracy: of the float network.
        pte_accuracy: of the program, on the same photographs.
        pte: the program's answers against float's.
        max_drop: top-1 that may be lost, points. Without labels it bounds the share of photographs that change
            class, which bounds the loss.
        photographs: that the figures are of.
        min_agreement: share of the photographs that have to keep their class, 0..1; None asks for none.
        baseline: earlier figures on the same photographs; top-1 (or agreement) may fall behind them by
            `max_drop` as well.
        doubts: reasons not to believe the figures (`quant.doubts`).
    """
    failures = list(doubts)
    passes: list[str] = []
    if has_collapsed(pte, photographs):
        failures.append(
            f"collapsed: agrees with float on {100 * pte.agreement:.2f} % of photographs at {pte.sqnr_db:.1f} dB; "
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


def has_collapsed(pte: Fidelity, photographs: int) -> bool:
    """Whether a program sees so little of what float sees that it fails whatever is allowed.

    Args:
        pte: the program's answers against float's.
        photographs: that they are of.
    """
    collapsed = pte.agreement < COLLAPSE_AGREEMENT or pte.sqnr_db < COLLAPSE_SQNR_DB
    return collapsed and photographs >= COLLAPSE_PHOTOGRAPHS


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
