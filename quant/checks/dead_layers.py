"""What a program's own file gives away: layers without weights, inputs in another memory order."""

from __future__ import annotations

from collections.abc import Mapping

from edge_effnet.errors import InputError
from quant.common.findings import Finding, finding
from quant.program.flatbuffer import BrokenTableError, Budget
from quant.program.reader import PteFile
from quant.program.xnnpack_payload import PayloadLayer, read_payload

_SHOWN = 3


def check_programs(programs: Mapping[str, PteFile]) -> tuple[Finding, ...]:
    """Look into programs without running them.

    Args:
        programs: by name.

    Returns:
        A finding for each that has layers whose weights are all zero.

    Raises:
        InputError: a broken file, or an input that is not contiguous: it would be read in another order than it is
            given in, in silence (pytorch/executorch #21837).
    """
    found = []
    for name, program in programs.items():
        require_contiguous(program)
        dead = dead_layers(program)
        if dead:
            shown = ", ".join(dead[:_SHOWN]) + (f" and {len(dead) - _SHOWN} more" if len(dead) > _SHOWN else "")
            message = f"the {name} program's weights are all zero in {shown}: it computes nothing there"
            found.append(finding("dead-layers", message))
    return tuple(found)


def dead_layers(program: PteFile) -> list[str]:
    """Name XNNPACK layers with nothing but zeros for weights, in the order in which they run."""
    return [layer.name for layer in xnnpack_layers(program) if layer.dead]


def xnnpack_layers(program: PteFile) -> list[PayloadLayer]:
    """Layers of all XNNPACK delegates, in the order in which they run.

    Raises:
        InputError: a broken payload.
    """
    found: list[PayloadLayer] = []
    budget = Budget()
    for method in program.methods:
        for delegate in method.delegates:
            if delegate.backend != "XnnpackBackend":
                continue
            try:
                found += read_payload(delegate.data, budget).layers
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
