"""The network from input to output: ranges, clipping, SQNR, share of the noise, latency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from quant.analysis.layer_report import BROKEN_SQNR_DB, LayerReport
from quant.report.formats import noisiest, short
from quant.report.plots.svg import COLOURS, DASHED, POINTS, Spot, drawing, plain, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, _HEIGHT = 960, 640

_LEAST_CLIPPED = 1e-3
"""Percent; less is drawn as this."""


_NAMED_SHARE = 0.04
"""Of the width; a narrower stage has no room for its name."""


def plot_layers(layers: Sequence[LayerReport], *, broken: str | None = None) -> Markup:
    """Draw an analysis from input to output, at least one layer; `broken`, where the signal was lost, is marked."""
    timed = all(layer.estimated_ms is not None for layer in layers)
    heights = [1.7, 0.9, 1.3, 1.0, *([1.0] if timed else [])]
    with drawing(WIDTH, _HEIGHT if timed else 0.85 * _HEIGHT) as figure:
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        x = np.arange(len(layers))
        _draw_ranges(panels[0], x, layers)
        _draw_clipping(panels[1], x, layers)
        _draw_sqnr(panels[2], x, layers, broken)
        _draw_bars(panels[3], x, [100 * layer.noise_share for layer in layers], "Share of the noise, %")
        _number_noisiest(panels[3], layers)
        if timed:
            _draw_bars(panels[4], x, [layer.estimated_ms or 0.0 for layer in layers], "Latency, ms, estimated")
        _mark_stages(panels, layers)
        _shade_float(panels, layers)
        figure.draw_without_rendering()  # places are known only now, and are not looked for again
        figure.set_layout_engine("none")
        return to_svg(figure, name="layers", label=_label(layers), spots=_spots(panels[0], layers))


def _draw_ranges(panel: Axes, x: Any, layers: Sequence[LayerReport]) -> None:
    grids = np.array([layer.grid or (np.nan, np.nan) for layer in layers], dtype=float)
    seen = np.array([layer.seen for layer in layers], dtype=float)
    panel.set_title("Observed values (thin) and the part that the int8 grid covers (thick)")
    panel.plot(*_strokes(x, grids[:, 0], grids[:, 1]), color=COLOURS["band"], linewidth=2.8, solid_capstyle="butt")
    panel.plot(*_strokes(x, seen[:, 0], seen[:, 1]), color=COLOURS["accent"], linewidth=0.9, solid_capstyle="butt")
    panel.set_yscale("symlog", linthresh=1.0, linscale=0.6)
    panel.yaxis.set_major_formatter(lambda value, _: short(value))
    panel.axhline(0.0, color=COLOURS["line"], linewidth=0.8)


def _draw_clipping(panel: Axes, x: Any, layers: Sequence[LayerReport]) -> None:
    percent = np.array([100 * (layer.clipped or 0.0) for layer in layers])
    panel.set_title("Values that the grid clips, %")
    shown = np.where(percent > 0, np.maximum(percent, _LEAST_CLIPPED), np.nan)
    panel.plot(*_strokes(x, np.full(len(x), _LEAST_CLIPPED / 2), shown), color=COLOURS["accent"], linewidth=2)
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(lambda value, _: short(value))
    panel.set_ylim(_LEAST_CLIPPED / 2, max(10.0, 2 * float(np.nanmax(percent, initial=0.0))))


def _draw_sqnr(panel: Axes, x: Any, layers: Sequence[LayerReport], broken: str | None) -> None:
    # Layers without any error have 120 dB, which would flatten the rest.
    sqnr = np.clip([layer.sqnr_db for layer in layers], -10.0, 60.0)
    panel.set_title(f"SQNR of the int8 network against float, dB (dashed: {BROKEN_SQNR_DB:.0f} dB; shaded: in float)")
    panel.plot(x, sqnr, color=COLOURS["accent"])
    panel.axhline(BROKEN_SQNR_DB, **DASHED)
    index = next((i for i, layer in enumerate(layers) if layer.layer == broken), None)
    if index is not None:
        panel.plot([index], [sqnr[index]], "o", markersize=6, color=COLOURS["bad"])
        said = f"{plain(layers[index].layer)}: {layers[index].sqnr_db:.1f} dB"
        panel.set_title(said, loc="right", color=COLOURS["bad"])
    panel.set_ylim(min(0.0, float(sqnr.min()) - 2), float(sqnr.max()) + 6)


def _draw_bars(panel: Axes, x: Any, values: Sequence[float], title: str) -> None:
    panel.set_title(title)
    strokes = _strokes(x, np.zeros(len(x)), np.asarray(values))
    panel.plot(*strokes, color=COLOURS["accent"], linewidth=2, solid_capstyle="butt")
    panel.set_ylim(0.0, 1.15 * max([*values, 1e-6]))


def _number_noisiest(panel: Axes, layers: Sequence[LayerReport]) -> None:
    """Number those that the page names below the plot."""
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 10, "color": COLOURS["ink"]}
    for number, layer in enumerate(noisiest(layers), 1):
        panel.annotate(str(number), (layers.index(layer), 100 * layer.noise_share), xytext=(0, 2), **style)
    low, high = panel.get_ylim()
    panel.set_ylim(low, 1.2 * high)


def _shade_float(panels: Sequence[Axes], layers: Sequence[LayerReport]) -> None:
    for panel in panels:
        for place, layer in enumerate(layers):
            if layer.precision == "float":
                panel.axvspan(place - 0.5, place + 0.5, color=COLOURS["line"], linewidth=0, zorder=0)


def _spots(panel: Axes, layers: Sequence[LayerReport]) -> list[Spot]:
    """What a pointer is told at each layer, through all panels."""
    scale = POINTS / panel.figure.dpi
    edges = [scale * panel.transData.transform((place - 0.5, 0.0))[0] for place in range(len(layers) + 1)]
    return [(*pair, _figures(layer)) for pair, layer in zip(pairwise(edges), layers, strict=True)]


def _figures(layer: LayerReport) -> str:
    """One layer in a sentence."""
    clipped = "" if layer.clipped is None else f", {100 * layer.clipped:.2f} % clipped"
    timed = "" if layer.estimated_ms is None else f", {layer.estimated_ms:.3f} ms"
    what = "float" if layer.precision == "float" else f"SQNR {layer.sqnr_db:.1f} dB{clipped}"
    return f"{layer.layer} ({layer.operation}): {what}, {100 * layer.noise_share:.1f} % of the noise{timed}"


def _mark_stages(panels: Sequence[Axes], layers: Sequence[LayerReport]) -> None:
    """Name the stages of the network below the last panel, and part them."""
    places, names, start = [], [], 0
    for name, group in groupby(_stage(layer.layer) for layer in layers):
        end = start + len(list(group))
        if end - start > _NAMED_SHARE * len(layers):
            places.append((start + end - 1) / 2)
            names.append(plain(name))
        for panel in panels if start else ():
            panel.axvline(start - 0.5, color=COLOURS["line"], linewidth=0.6)
        start = end
    for panel in panels:
        panel.tick_params(axis="x", length=0)
        panel.set_xlim(-1, len(layers))
    panels[-1].set_xticks(places, names)


def _stage(layer: str) -> str:
    """`stages.3.1.expand` -> `stage 3`; what comes before and after is the stem or the head."""
    stage = re.match(r"stages\.(\d+)", layer)
    return f"stage {stage[1]}" if stage else ("stem" if layer.startswith("stem") else "head")


def _strokes(x: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """One line, broken between the layers, instead of an element for each."""
    breaks = np.full(len(x), np.nan)
    return np.repeat(x, 3), np.stack([low, high, breaks], axis=1).ravel()


def _label(layers: Sequence[LayerReport]) -> str:
    worst = min(layers, key=lambda layer: layer.sqnr_db)
    loudest = max(layers, key=lambda layer: layer.noise_share)
    return (
        f"{len(layers)} activations from input to output: ranges, clipping, SQNR, share of the noise, latency. "
        f"Lowest SQNR: {worst.sqnr_db:.1f} dB at {worst.layer}. Largest share of the noise: "
        f"{100 * loudest.noise_share:.1f} % at {loudest.layer}. The table below holds every figure."
    )
