"""Qualcomm's HTP: w8a8, w16a8 and fp16, one delegate; compiled in a child process, run here by the emulated HTP."""

from __future__ import annotations

import json
import sys

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from quant.common.quiet import quiet_libraries
from quant.lower.backend import Source
from quant.lower.child_process import run_child
from quant.lower.qnn.graph import for_htp
from quant.lower.result import Delegation, Leftover, LoweredProgram
from quant.program.qnn_library import LICENCE, wheel_of
from quant.program.qnn_socs import SOCS

_REMEDY = "try another --soc or precision, or leave this backend out"


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph, or one with q/dq pairs of the HTP's placements.

    Raises:
        InputError: libraries that cannot be used, or a network that the compiler refuses, crashes or hangs on.
    """
    soc = source.options.soc
    graph = source.graph if source.precision == "fp16" else for_htp(source.graph)
    with scratch_folder() as folder:
        with quiet_libraries(), torch.no_grad():
            exported = torch.export.export(graph, (torch.zeros(source.input_shape),), strict=False)
            torch.export.save(exported, folder / "network.pt2")
        request = {"precision": source.precision, "soc": soc, "input_shape": list(source.input_shape)}
        (folder / "request.json").write_text(json.dumps(request))
        command = [sys.executable, "-P", "-m", "quant.lower.qnn.child", str(folder)]
        answer = run_child(command, folder, backend="qnn", remedy=_REMEDY)
        data = (folder / "program.pte").read_bytes()
    if not answer["delegation"]["partitions"]:
        raise InputError("qnn: the compiler takes no operator of this network; choose another backend.")
    return LoweredProgram(
        data=data,
        delegation=Delegation(**answer["delegation"]),
        input_shape=source.input_shape,
        output_shape=tuple(answer["output_shape"]),
        leftovers=tuple(Leftover(**row) for row in answer["leftovers"]),
        facts=(
            f"for {soc}, HTP v{SOCS[soc].generation}, by QNN {answer['version']}: {_tried(answer['version'])}",
            "judged on the vendor's emulated HTP, not on silicon",
            LICENCE,
        ),
        npu={
            "soc": soc,
            "architecture": f"HTP v{SOCS[soc].generation}",
            "libraries": f"QNN {answer['version']}",
            "judged_on": "emulated HTP",
        },
    )


def _tried(version: str) -> str:
    wheel = wheel_of(version)
    return "a release that nobody tried here" if wheel is None else f"as in onnxruntime-qnn {wheel}"
