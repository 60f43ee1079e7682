"""Would other resizing suit float better? What training scripts usually do is tried on labelled images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_effnet.preprocess import Preprocess
from quant.checks.preprocessing_probe import Comparison, Probe
from quant.common.findings import Finding, finding
from quant.common.subsample import subsample
from quant.data.batches import Model
from quant.thresholds import GEOMETRY_GAIN, PROBE_GLANCE, PROBE_IMAGES, PROBE_RANK_CERTAINTY

_PROMISING = 0.1
"""Chance (signed-rank test) on the first glance, above which a geometry is not looked at again."""


def usual_geometries(now: Preprocess) -> dict[str, Preprocess]:
    """What training scripts do, by the options that ask for it; without what is done anyway."""
    side = now.crop
    resize = math.floor(side / 0.875)
    tried = {
        f"--resize {side}x{side}": replace(now, resize=side, resize_mode="squash"),
        f"--resize {resize} --crop {side} --resize-mode shorter": replace(now, resize=resize, resize_mode="shorter"),
        f"--resize {side} --resize-mode shorter": replace(now, resize=side, resize_mode="shorter"),
        f"--resize {side} --resize-mode pad-black": replace(now, resize=side, resize_mode="pad-black"),
    }
    return {options: other for options, other in tried.items() if other != now}


def better_geometry(run: Model, probe: Probe) -> Finding | None:
    """Name another geometry that makes the right classes clearly likelier to the float network, if there is one.

    `PROBE_IMAGES` of all are looked at where `PROBE_GLANCE` promise something. Images taken as they are (resize mode
    "none", tensors) are no question of geometry.
    """
    if probe.preprocess.resize_mode == "none" or probe.preprocess.takes_tensors:
        return None

    def compare(geometry: Preprocess, rows: Sequence[int]) -> Comparison:
        return probe.compare({"resized": lambda x: run(x.contiguous())}, rows, geometry)["resized"]

    return best_geometry(compare, probe.preprocess, subsample(len(probe.images), PROBE_IMAGES))


def best_geometry(
    compare: Callable[[Preprocess, Sequence[int]], Comparison], now: Preprocess, rows: Sequence[int]
) -> Finding | None:
    """Name the geometry that `compare` finds clearly better than the present one on the images of some rows."""
    glance = [rows[i] for i in subsample(len(rows), PROBE_GLANCE)]
    found: dict[str, Comparison] = {}
    for options, geometry in usual_geometries(now).items():
        first = compare(geometry, glance)
        if first.gain > 0 and first.rank_chance <= _PROMISING:
            found[options] = compare(geometry, rows)
    clear = {options: compared for options, compared in found.items() if _clear(compared)}
    if not clear:
        return None
    options, best = max(clear.items(), key=lambda item: item[1].gain)
    return finding(
        "geometry",
        f"geometry: resized as by {options} the float network is right on {best.right} of {len(rows)} images instead "
        f"of {best.right - best.won + best.lost}, and the right class is likelier on {best.likelier} (less likely on "
        f"{best.less}): training may have resized so",
        remedy=f"Compare float's accuracy with {options}.",
    )


def _clear(compared: Comparison) -> bool:
    certain = compared.rank_chance <= PROBE_RANK_CERTAINTY
    return certain and compared.gain >= GEOMETRY_GAIN and compared.won >= compared.lost
