"""What a program is allowed to lose, as users ask for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_effnet.errors import InputError
from quant.metrics.tasks.task import Task
from quant.verdict.baseline import Baseline


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a program is allowed."""

    max_drop: float
    """Top-1 that may be lost, points. Without labels it bounds what is expected to be lost, and the share of changed
    classes among the images that float is sure of."""
    min_agreement: float | None
    """Share of the images that have to keep their class, 0..1; None asks for none."""
    baseline: Baseline | None
    """Earlier figures on the same images; top-1 (or agreement) may fall behind them by `max_drop` as well."""


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


def require_limits(max_drop: float | None, min_agreement: float | None) -> None:
    """`check_max_drop` and `check_min_agreement`, each where it is given."""
    if max_drop is not None:
        check_max_drop(max_drop)
    check_min_agreement(min_agreement)


def asked_limits(
    task: Task, max_drop: float | None, min_agreement: float | None, baseline: Baseline | None = None
) -> Limits:
    """Return the limits that a user asked for, points and percent; the task's own `max_drop` where none."""
    return Limits(
        max_drop=task.max_drop if max_drop is None else max_drop,
        min_agreement=check_min_agreement(min_agreement),
        baseline=baseline,
    )
