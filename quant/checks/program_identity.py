"""Whether manifest, bundle and analysis belong to the very program that is judged."""

from __future__ import annotations

from collections.abc import Sequence

from quant.analysis.layer_report import LayerReport
from quant.artifact.model import Artifact
from quant.artifact.recognise import SEAL, seal_of
from quant.checks.dead_layers import xnnpack_layers
from quant.common.findings import Finding, finding
from quant.graph.qdq import QMAX, QMIN, Range
from quant.program.reader import PteFile
from quant.program.xnnpack_payload import PayloadLayer


def check_seal(artifact: Artifact) -> Finding | None:
    """Compare a manifest's seal with what it says now."""
    if artifact.manifest.get(SEAL) == seal_of(artifact.manifest):
        return None
    return finding(
        "manifest-edited",
        "manifest.json: its seal does not fit what it says, it was edited after `quantize` wrote it: regenerate the "
        "artifact",
    )


def check_bundle(artifact: Artifact) -> Finding | None:
    """Look for the bytes of model.pte in model.bpte; artifacts without a bundle have nothing to say."""
    path = artifact.folder / "model.bpte"
    if path.name not in artifact.manifest["files"] or artifact.program.read_bytes() in path.read_bytes():
        return None
    return finding(
        "program-changed", "another program: model.bpte does not hold model.pte: one of the two was exchanged"
    )


# A clamp that runs inside a layer stands for it.
_WEIGHTED = frozenset({"convolution", "linear", "relu", "relu6", "hardtanh", "clamp"})


# layers.json has five decimals, the program float32.
_ABSOLUTE, _RELATIVE = 2e-5, 1e-5


def check_ranges(program: PteFile, reports: Sequence[LayerReport]) -> Finding | None:
    """Look for the output ranges of a program's int8 layers among those of its analysis.

    Args:
        program: for XNNPACK.
        reports: of `layers.json`; empty without an analysis.

    Returns:
        A finding that names the first layer whose range is none of them; None where all are.

    Raises:
        InputError: a broken payload.
    """
    analyzed = [report for report in reports if report.grid is not None]
    layers = [layer for layer in xnnpack_layers(program) if layer.output_scale is not None]
    weighted = [report for report in analyzed if report.operator in _WEIGHTED]
    if weighted and not layers:
        message = (
            "another program: model.pte has no layer in int8, layers.json has some: one of the two was exchanged"
        )
        return finding("program-changed", message)
    # Where each layer has its row, rows give the names.
    names = [report.layer for report in weighted]
    names = names if len(names) == len(layers) else [layer.name for layer in layers]
    grids = [_grid(layer) for layer in layers]
    known = [report.grid for report in analyzed]
    differing = [
        (name, grid)
        for name, grid in zip(names, grids, strict=True)
        if not any(other is not None and _same(other, grid) for other in known)
    ]
    if not differing:
        return None
    name, (low, high) = differing[0]
    return finding(
        "program-changed",
        f"another program: {len(differing)} of the {len(layers)} int8 layers of model.pte have other ranges than "
        f"layers.json gives (first: {name}, {low:.4g} to {high:.4g}): model.pte was exchanged or changed",
    )


def _grid(layer: PayloadLayer) -> Range:
    assert layer.output_scale is not None
    scale, zero = layer.output_scale
    return (QMIN - zero) * scale, (QMAX - zero) * scale


def _same(one: Range, other: Range) -> bool:
    return all(abs(a - b) <= _ABSOLUTE + _RELATIVE * abs(a) for a, b in zip(one, other, strict=True))
