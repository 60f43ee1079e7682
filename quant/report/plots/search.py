"""The fallback curve: agreement, and the chance that the verdict holds, against the number of layers in float."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from quant.report.facts import Search
from quant.report.formats import percent
from quant.report.plots.svg import COLOURS, drawing, frame, to_svg
from quant.thresholds import TARGET_CHANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 460, 340


def plot_search(search: Search, *, min_agreement: float | None) -> Markup:
    """Draw the sets of float layers that were tried, the chosen one marked.

    Args:
        search: with at least one point.
        min_agreement: what was wanted, share of 1.
    """
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  (see `drawing`)

    ordered = sorted(search.points, key=lambda point: len(point.float_layers))
    x = [len(point.float_layers) for point in ordered]
    place = ordered.index(search.points[search.chosen])
    with drawing(_WIDTH, _HEIGHT) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        agreement = [100 * point.agreement for point in ordered]
        chance = [100 * point.chance for point in ordered]
        _draw_curve(above, x, agreement, place, "Agrees with float, %", min_agreement)
        _draw_curve(below, x, chance, place, "Chance that the verdict holds, %", TARGET_CHANCE)
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        below.set_xlabel("layers in float")
        return to_svg(figure, name="search", label=_label(search))


def _draw_curve(
    panel: Axes, x: Sequence[int], y: Sequence[float], chosen: int, title: str, wanted: float | None
) -> None:
    panel.set_title(title)
    panel.plot(x, y, marker="o", markersize=5, color=COLOURS["accent"])
    panel.plot([x[chosen]], [y[chosen]], "o", markersize=11, color="none", markeredgecolor=COLOURS["ink"])
    limits = [] if wanted is None else [100 * wanted]
    for limit in limits:
        panel.axhline(limit, color=COLOURS["other"], linewidth=1, linestyle=(0, (4, 3)))
    panel.margins(x=0.08)
    panel.set_ylim(frame([*y, *limits]))


def _label(search: Search) -> str:
    chosen = search.points[search.chosen]
    agrees = percent(chosen.agreement, search.images)
    return (
        f"Agreement with float against the number of layers in float, {len(search.points)} sets tried. Chosen: "
        f"{len(chosen.float_layers)} layers, {agrees} %, {chosen.added_ms:.2f} ms added."
    )
