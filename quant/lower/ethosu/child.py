"""Child process that lowers one network with executorch's Arm package: `python -m quant.lower.ethosu.child FOLDER`.

FOLDER holds `request.json` and `network.pt2`; `program.pte`, what Vela was given (`program.tosa`) and `answer.json`
are left there. Vela ends the process where it is unhappy: so nobody else imports it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import fx

from quant.graph.qdq import DEQUANTIZE, QUANTIZE
from quant.lower.child_process import answer_request
from quant.lower.ethosu.graph import prepare
from quant.lower.partitioned import finished, operator_name
from quant.lower.result import LoweredProgram
from quant.program.tosa_model import SUFFIX

_BORDER = tuple(str(op) for op in (QUANTIZE, DEQUANTIZE))
_REASON = "the NPU has no such operator for these tensors; a portable kernel on the processor takes its place"
_OPERATORS = re.compile(r"(CPU|NPU) operators = (\d+)")


def _lowered(
    exported: torch.export.ExportedProgram, request: dict[str, Any], place: Path
) -> tuple[LoweredProgram, dict[str, Any]]:
    prepare(exported)
    with redirect_stdout(io.StringIO()) as said:
        edge = _lower(exported, request["target"], place)
    border = _border(edge.exported_program().graph)
    program = finished(edge, tuple(request["input_shape"]), lambda node: _REASON)
    left = tuple(leftover for leftover in program.leftovers if leftover.operator not in _BORDER)
    tosa = place / "out.tosa"
    reference = {}
    if tosa.exists():
        reference = {SUFFIX: tosa.read_bytes(), f"{SUFFIX}.json": (json.dumps(border) + "\n").encode()}
    delegation = replace(program.delegation, left=len(left))
    answer: dict[str, Any] = {"border": border}
    summary = next(place.glob("output/*_summary_*.csv"), None)
    if summary is not None:
        with summary.open(newline="") as file:
            answer["vela"] = next(csv.DictReader(file))
        answer["operators"] = {where: int(count) for where, count in _OPERATORS.findall(said.getvalue())}
    return replace(program, delegation=delegation, leftovers=left, reference=reference), answer


def _lower(exported: torch.export.ExportedProgram, target: str, place: Path) -> Any:
    import executorch.kernels.quantized  # noqa: F401, PLC0415  (the q and dq that the processor runs)
    from executorch.backends.arm.ethosu import EthosUCompileSpec, EthosUPartitioner, backend  # noqa: PLC0415
    from executorch.exir import to_edge_transform_and_lower  # noqa: PLC0415

    compile_tosa = backend.vela_compile
    # Not by the compile spec, which writes the folder's name into the program.
    backend.vela_compile = lambda tosa, flags, **_: compile_tosa(tosa, flags, intermediate_path=str(place))
    spec = EthosUCompileSpec(f"ethos-{target}")
    return to_edge_transform_and_lower(exported, partitioner=[EthosUPartitioner(spec)])


def _border(graph: fx.Graph) -> dict[str, tuple[float, int]]:
    """The grids of what enters and leaves the delegate, which is in int8."""
    nodes = [node for node in graph.nodes if node.op == "call_function"]
    ends = (("input", nodes[0], QUANTIZE), ("output", nodes[-1], DEQUANTIZE))
    return {
        name: (float(node.args[1]), int(node.args[2]))
        for name, node, kind in ends
        if operator_name(node) == str(kind)
    }


if __name__ == "__main__":
    answer_request(_lowered)
