"""What program files give away: dead layers, another memory order, another program than manifest and analysis say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_effnet.errors import InputError
from quant.analysis.layer_report import LayerReport
from quant.artifact.model import Artifact
from quant.artifact.recognise import SEAL, seal_of
from quant.common.findings import Finding, finding
from quant.graph.qdq import QMAX, QMIN, Range
from quant.program.flatbuffer import BrokenTableError, Budget
from quant.program.reader import PteFile
from quant.program.xnnpack_payload import PayloadLayer, read_payload


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
    message = "another program: model.bpte does not hold model.pte: one of the two was exchanged"
    return finding("program-changed", message)


# A clamp that runs inside a layer stands for it.
_WEIGHTED = frozenset({"convolution", "linear", "relu", "relu6", "hardtanh", "clamp"})

# layers.json has five decimals, the program float32.
_ABSOLUTE, _RELATIVE = 2e-5, 1e-5


def check_ranges(program: PteFile, reports: Sequence[LayerReport]) -> Finding | None:
    """Look for the output ranges of an XNNPACK program's int8 layers among those of its analysis, `layers.json`.

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


_SHOWN = 3


def check_programs(programs: Mapping[str, PteFile]) -> tuple[Finding, ...]:
    """Look into programs, by name, without running them.

    Returns:
        A finding for each that has layers whose weights are all zero.

    Raises:
        InputError: a broken file, or an input that is not contiguous: it would be read in another order than it is
            given in, in silence (pytorch/executorch #21837).
    """
    found = []
    for name, program in programs.items():
        require_contiguous(program)
        dead = [layer.name for layer in xnnpack_layers(program) if layer.dead]
        if dead:
            shown = ", ".join(dead[:_SHOWN]) + (f" and {len(dead) - _SHOWN} more" if len(dead) > _SHOWN else "")
            message = f"the {name} program's weights are all zero in {shown}: it computes nothing there"
            found.append(finding("dead-layers", message))
    return tuple(found)


def xnnpack_layers(program: PteFile) -> list[PayloadLayer]:
    """Layers of all XNNPACK delegates, in the order in which they run.

    Raises:
        InputError: a broken payload.
    """
    found: list[PayloadLayer] = []
    budget = Budget()
    delegates = (delegate for method in program.methods for delegate in method.delegates)
    try:
        for delegate in delegates:
            found += read_payload(delegate.data, budget).layers if delegate.backend == "XnnpackBackend" else []
    except BrokenTableError as error:
        raise InputError(f"{program.path}: a broken XNNPACK payload ({error}); regenerate it.") from error
    return found


def require_contiguous(program: PteFile) -> None:
    """Refuse a program whose inputs or outputs lie in another order than row by row.

    Raises:
        InputError: one does.
    """
    for method in program.methods:
        for tensor in (*method.inputs, *method.outputs):
            if tensor.layout != "contiguous":
                raise InputError(
                    f"{program.path}: {method.name} takes or gives {tensor.layout} tensors; the runtime reads them "
                    "as contiguous ones (NCHW) without a word: export it with contiguous example inputs."
                )
