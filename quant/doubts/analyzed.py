"""Whether a program is the one that `layers.json` analyses: its layers have the ranges that stand there."""

from __future__ import annotations

from collections.abc import Sequence

from quant.analysis import LayerReport
from quant.doubts.programs import xnnpack_layers
from quant.pte_file import PteFile
from quant.qdq import QMAX, QMIN, Range

_WEIGHTED = frozenset({"convolution", "linear"})

# layers.json has five decimals, the program float32.
_ABSOLUTE, _RELATIVE = 2e-5, 1e-5


def other_ranges(program: PteFile, reports: Sequence[LayerReport]) -> str | None:
    """Compare the output ranges of a program's int8 layers with those of its analysis, in their order.

    Args:
        program: for XNNPACK.
        reports: of `layers.json`; empty without an analysis.

    Returns:
        A sentence that names the first layer that differs; None where all agree.

    Raises:
        InputError: a broken payload.
    """
    if not reports:
        return None
    scales = [layer.output_scale for layer in xnnpack_layers(program) if layer.output_scale is not None]
    analyzed = [report for report in reports if report.operator in _WEIGHTED and report.grid is not None]
    if len(scales) != len(analyzed):
        return (
            f"another program: model.pte has {len(scales)} layers in int8, layers.json analyses {len(analyzed)}: one "
            "of the two was exchanged"
        )
    found = [((QMIN - zero) * scale, (QMAX - zero) * scale) for scale, zero in scales]
    differing = [
        (report, grid)
        for report, grid in zip(analyzed, found, strict=True)
        if report.grid is not None and not _same(report.grid, grid)
    ]
    if not differing:
        return None
    (first, (low, high)), wanted = differing[0], differing[0][0].grid
    assert wanted is not None
    return (
        f"another program: {len(differing)} of the {len(found)} int8 layers of model.pte have other ranges than "
        f"layers.json gives (first: {first.layer}, {low:.4g} to {high:.4g} instead of {wanted[0]:.4g} to "
        f"{wanted[1]:.4g}): model.pte was exchanged or changed"
    )


def _same(one: Range, other: Range) -> bool:
    return all(abs(a - b) <= _ABSOLUTE + _RELATIVE * abs(a) for a, b in zip(one, other, strict=True))
