"""Child process that lowers one network with executorch's Arm package: `python -m quant.lower.ethosu.child FOLDER`.

FOLDER holds `request.json` and `network.pt2`; `program.pte`, what Vela was given (`out.tosa`) and `answer.json` are
left there. Vela ends the process where it is unhappy: so nobody else imports it.
"""

from __future__ import annotations

import csv
import io
import re
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators that the network holds
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import DEQUANTIZE, QUANTIZE
from quant.lower.child_process import answer_request
from quant.lower.ethosu.graph import prepare
from quant.lower.partitioned import finished, operator_name
from quant.lower.result import LoweredProgram

_BORDER = tuple(str(op) for op in (QUANTIZE, DEQUANTIZE))
_OPERATORS = re.compile(r"(CPU|NPU) operators = (\d+)")


def _lowered(place: Path, request: dict[str, Any]) -> dict[str, Any]:
    said = io.StringIO()
    with quiet_libraries():
        exported = torch.export.load(place / "network.pt2")
        prepare(exported)
        with redirect_stdout(said):
            program, border = _lower(exported, request, place)
    (place / "program.pte").write_bytes(program.data)
    left = [leftover for leftover in program.leftovers if leftover.operator not in _BORDER]
    answer = {
        "delegation": {**asdict(program.delegation), "left": len(left)},
        "leftovers": [asdict(leftover) for leftover in left],
        "output_shape": list(program.output_shape),
        "border": border,
    }
    summary = next(place.glob("output/*_summary_*.csv"), None)
    if summary is not None:
        with summary.open(newline="") as file:
            answer["vela"] = next(csv.DictReader(file))
        answer["operators"] = {where: int(count) for where, count in _OPERATORS.findall(said.getvalue())}
    return answer


def _lower(
    exported: torch.export.ExportedProgram, request: dict[str, Any], place: Path
) -> tuple[LoweredProgram, dict[str, list[float]]]:
    """The program, and the grids of what enters and leaves its delegate, which is in int8."""
    import executorch.kernels.quantized  # noqa: F401, PLC0415  (the q and dq that the processor runs)
    from executorch.backends.arm.ethosu import EthosUCompileSpec, EthosUPartitioner, backend  # noqa: PLC0415
    from executorch.exir import to_edge_transform_and_lower  # noqa: PLC0415

    compile_tosa = backend.vela_compile
    # Not by the compile spec, which writes the folder's name into the program.
    backend.vela_compile = lambda tosa, flags, **_: compile_tosa(tosa, flags, intermediate_path=str(place))
    spec = EthosUCompileSpec(f"ethos-{request['target']}")
    edge = to_edge_transform_and_lower(exported, partitioner=[EthosUPartitioner(spec)])
    nodes = [node for node in edge.exported_program().graph.nodes if node.op == "call_function"]
    border = {
        name: [float(node.args[1]), int(node.args[2])]
        for name, node, kind in (("input", nodes[0], QUANTIZE), ("output", nodes[-1], DEQUANTIZE))
        if operator_name(node) == str(kind)
    }
    return finished(edge, tuple(request["input_shape"]), _reason), border


def _reason(node: fx.Node) -> str:
    return "the NPU has no such operator for these tensors; a portable kernel on the processor takes its place"


if __name__ == "__main__":
    answer_request(_lowered)
