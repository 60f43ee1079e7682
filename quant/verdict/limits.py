"""What a program is allowed to lose, as users ask for it."""

from __future__ import annotations

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


def require_limits(max_drop: float | None, min_agreement: float | None) -> None:
    """Refuse limits, in points and percent, that are none.

    Raises:
        InputError: not within 0..100.
    """
    asked = (("--max-drop", max_drop, "a number of points"), ("--min-agreement", min_agreement, "a percentage"))
    for option, value, what in asked:
        # Of NaN no comparison holds.
        if value is not None and not 0.0 <= value <= 100.0:
            raise InputError(f"{option} {value}: need {what} from 0 to 100.")


def asked_limits(
    task: Task, max_drop: float | None, min_agreement: float | None, baseline: Baseline | None = None
) -> Limits:
    """Return the limits that a user asked for, points and percent; the task's own `max_drop` where none."""
    return Limits(
        max_drop=task.max_drop if max_drop is None else max_drop,
        min_agreement=None if min_agreement is None else min_agreement / 100.0,
        baseline=baseline,
    )
