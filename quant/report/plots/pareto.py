"""Accuracy against a cost, with the programs that nothing else beats in the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from quant.report.formats import short
from quant.report.pareto import front
from quant.report.plots.svg import COLOURS, drawing, frame, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 420, 330

_LOGARITHMIC_FROM = 6.0
"""Ratio of the largest cost to the smallest."""

_NEAR = 13.0
"""Units of the view box: closer numbers would run into each other."""

_PLACES = ((0.0, 9.0), (10.0, 0.0), (0.0, -10.0), (-10.0, 0.0), (9.0, 8.0), (-9.0, 8.0), (9.0, -9.0), (-9.0, -9.0))
"""Where a number may stand beside its dot, in the order of preference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """One program, or a float network."""

    number: int
    """In the table."""
    is_float: bool
    optimal: bool
    accuracy: float
    """Percent."""
    latency_ms: float
    size_mb: float


def plot_pareto(dots: Sequence[Dot], cost: str, *, x_label: str, y_label: str) -> Markup:
    """Draw accuracy against a cost.

    Args:
        dots: at least one.
        cost: field of `Dot` on the x axis.
        x_label: says so.
        y_label: of the accuracy.
    """
    x = [float(getattr(dot, cost)) for dot in dots]
    with drawing(_WIDTH, _HEIGHT) as figure:
        panel = figure.subplots()
        programs = [(place, dot.accuracy) for place, dot in zip(x, dots, strict=True) if not dot.is_float]
        best = sorted(programs[i] for i in front([(accuracy, -place) for place, accuracy in programs]))
        panel.step([p[0] for p in best], [p[1] for p in best], where="post", color=COLOURS["band"], linewidth=2)
        for place, dot in zip(x, dots, strict=True):
            hollow = dot.is_float or not dot.optimal
            colour = COLOURS["other"] if dot.is_float else COLOURS["accent"]
            panel.plot(
                [place],
                [dot.accuracy],
                "s" if dot.is_float else "o",
                markersize=6,
                color="none" if hollow else colour,
                markeredgecolor=colour,
            )
        if max(x) > _LOGARITHMIC_FROM * min(x) > 0.0:
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(lambda value, _: short(value))
            panel.xaxis.set_minor_formatter(lambda value, _: "")
        panel.margins(x=0.12)
        panel.set_ylim(frame([dot.accuracy for dot in dots]))
        panel.set(xlabel=x_label, ylabel=y_label)
        figure.draw_without_rendering()  # places are known only now
        _number(panel, x, dots)
        return to_svg(figure, name=cost, label=_label(dots, best, x_label, y_label))


def _number(panel: Axes, x: Sequence[float], dots: Sequence[Dot]) -> None:
    """Put each dot's number where it meets neither a dot nor another number."""
    scale = 72.0 / panel.figure.dpi
    places = [tuple(scale * panel.transData.transform((a, dot.accuracy))) for a, dot in zip(x, dots, strict=True)]
    taken = list(places)
    for (left, low), a, dot in zip(places, x, dots, strict=True):
        others = [place for place in taken if place != (left, low)]
        right, up = max(_PLACES, key=lambda offset: _room(left + offset[0], low + offset[1], others))
        taken.append((left + right, low + up))
        panel.annotate(
            str(dot.number),
            (a, dot.accuracy),
            xytext=(right, up),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=10,
            color=COLOURS["muted"] if dot.is_float else COLOURS["ink"],
        )


def _room(left: float, low: float, others: Sequence[tuple[float, ...]]) -> float:
    """Distance to the nearest other thing; more than enough counts as enough."""
    return min([_NEAR, *(max(abs(left - x), abs(low - y)) for x, y in others)])


def _label(dots: Sequence[Dot], best: Sequence[tuple[float, float]], x_label: str, y_label: str) -> str:
    points = "; ".join(f"{x:.2f}: {y:.2f}" for x, y in best)
    return (
        f"{y_label} against {x_label}: {len(dots)} networks, numbered as in the table. Pareto-optimal in the two: "
        f"{points}."
    )
