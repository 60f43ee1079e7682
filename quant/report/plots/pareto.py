"""Accuracy against a cost, with the programs that nothing else beats in the two.

Programs that failed are red crosses, and never on the front. The axis is that of the others: a program that sees
nothing would press all of them into one line, so it stands at the edge, as a triangle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from quant.report.formats import short
from quant.report.plots.svg import COLOURS, drawing, frame, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 352, 290
"""As wide as the page on a phone: letters are not made smaller there."""

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
    failed: bool
    """A program that is too bad to be used."""
    accuracy: float
    """Percent."""
    latency_ms: float
    size_mb: float


def plot_pareto(dots: Sequence[Dot], cost: str, *, x_label: str, y_label: str) -> Markup:
    """Draw the accuracy of at least one network against a cost, a field of `Dot`."""
    x = [float(getattr(dot, cost)) for dot in dots]
    with drawing(_WIDTH, _HEIGHT) as figure:
        panel = figure.subplots()
        low, high = accuracy_frame(dots)
        y = [max(dot.accuracy, low) for dot in dots]
        rivals = [(a, dot.accuracy) for a, dot in zip(x, dots, strict=True) if not (dot.is_float or dot.failed)]
        best = sorted(rivals[i] for i in front([(accuracy, -place) for place, accuracy in rivals]))
        panel.step([p[0] for p in best], [p[1] for p in best], where="post", color=COLOURS["band"], linewidth=2)
        for left, up, dot in zip(x, y, dots, strict=True):
            panel.plot([left], [up], markersize=6, clip_on=False, zorder=3, linestyle="none", **_marker(dot, low))
        if max(x) > _LOGARITHMIC_FROM * min(x) > 0.0:
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(lambda value, _: short(value))
            panel.xaxis.set_minor_formatter(lambda value, _: "")
        panel.margins(x=0.12)
        panel.set_ylim(low, high)
        panel.set(xlabel=x_label, ylabel=y_label)
        figure.draw_without_rendering()  # places are known only now
        _number(panel, x, y, dots)
        return to_svg(figure, name=cost, label=_label(dots, best, low, f"{y_label} against {x_label}"))


def accuracy_frame(dots: Sequence[Dot]) -> tuple[float, float]:
    """Limits of the accuracy's axis, %: those of the networks that did not fail, if there are any."""
    return frame([dot.accuracy for dot in dots if not dot.failed] or [dot.accuracy for dot in dots])


def _marker(dot: Dot, low: float) -> dict[str, Any]:
    """What a network is drawn as, on an axis that begins at `low`."""
    if dot.failed:
        marker, width = ("v", 0) if dot.accuracy < low else ("x", 2)
        return {"marker": marker, "color": COLOURS["bad"], "markeredgewidth": width}
    colour = COLOURS["other" if dot.is_float else "accent"]
    fill = colour if dot.optimal else "none"
    return {"marker": "s" if dot.is_float else "o", "color": fill, "markeredgecolor": colour}


def _number(panel: Axes, x: Sequence[float], y: Sequence[float], dots: Sequence[Dot]) -> None:
    """Put each dot's number where it meets neither a dot nor another number."""
    scale = 72.0 / panel.figure.dpi
    places = [tuple(scale * panel.transData.transform(point)) for point in zip(x, y, strict=True)]
    taken = list(places)
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 10}
    for (left, low), point, dot in zip(places, zip(x, y, strict=True), dots, strict=True):
        others = [place for place in taken if place != (left, low)]
        right, up = max(_PLACES, key=lambda offset: _room(left + offset[0], low + offset[1], others))
        taken.append((left + right, low + up))
        colour = COLOURS["muted" if dot.is_float else "ink"]
        panel.annotate(str(dot.number), point, xytext=(right, up), color=colour, **style)


def _room(left: float, low: float, others: Sequence[tuple[float, ...]]) -> float:
    """Distance to the nearest other thing; more than enough counts as enough."""
    return min([_NEAR, *(max(abs(left - x), abs(low - y)) for x, y in others)])


def _label(dots: Sequence[Dot], best: Sequence[tuple[float, float]], low: float, what: str) -> str:
    failed = ", ".join(str(dot.number) for dot in dots if dot.failed)
    outside = ", ".join(f"{dot.number} at {dot.accuracy:.2f}" for dot in dots if dot.accuracy < low)
    points = "; ".join(f"{x:.2f}: {y:.2f}" for x, y in best)
    sentences = (
        f"{what}: {len(dots)} networks, numbered as in the table.",
        f"Failed: {failed}." if failed else "",
        f"Off the scale: {outside}." if outside else "",
        f"Pareto-optimal in the two: {points or 'none'}.",
    )
    return " ".join(filter(None, sentences))


def front(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Indices of the points, each coordinate the higher the better, that no other one dominates; equal ones stay."""

    def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))

    return [i for i, point in enumerate(points) if not any(dominates(other, point) for other in points)]
