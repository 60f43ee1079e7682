"""The fallback curve: agreement against the number of layers in float."""

from __future__ import annotations

from markupsafe import Markup

from quant.report.facts import Search
from quant.report.plots.svg import COLOURS, drawing, to_svg

_WIDTH, _HEIGHT = 460, 300


def plot_search(search: Search, *, min_agreement: float | None) -> Markup:
    """Draw the sets of float layers that were tried, the chosen one marked.

    Args:
        search: with at least one point.
        min_agreement: what was wanted, share of 1.
    """
    ordered = sorted(search.points, key=lambda point: len(point.float_layers))
    x = [len(point.float_layers) for point in ordered]
    y = [100 * point.agreement for point in ordered]
    chosen = search.points[search.chosen]
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  (see `drawing`)

    with drawing(_WIDTH, _HEIGHT) as figure:
        panel = figure.subplots()
        panel.plot(x, y, marker="o", markersize=5, color=COLOURS["accent"])
        if min_agreement is not None:
            panel.axhline(100 * min_agreement, color=COLOURS["other"], linewidth=1, linestyle=(0, (4, 3)))
        panel.plot(
            [len(chosen.float_layers)],
            [100 * chosen.agreement],
            "o",
            markersize=11,
            color="none",
            markeredgecolor=COLOURS["ink"],
        )
        panel.annotate(
            f"chosen, +{chosen.added_ms:.2f} ms",
            (len(chosen.float_layers), 100 * chosen.agreement),
            xytext=(0, -14),
            textcoords="offset points",
            ha="center",
            va="top",
        )
        panel.margins(x=0.2, y=0.25)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set(xlabel="layers in float", ylabel="agrees with float, %")
        return to_svg(figure, name="search", label=_label(search))


def _label(search: Search) -> str:
    chosen = search.points[search.chosen]
    return (
        f"Agreement with float against the number of layers in float, {len(search.points)} sets tried. Chosen: "
        f"{len(chosen.float_layers)} layers, {100 * chosen.agreement:.2f} %, {chosen.added_ms:.2f} ms added."
    )
