"""Qualcomm's HTP: w8a8, w16a8 and fp16, one delegate; compiled in a child process, run here by the emulated HTP."""

from __future__ import annotations

from dataclasses import replace

from edge_effnet.errors import InputError
from quant.lower.backend import Source
from quant.lower.child_process import lower_in_child
from quant.lower.qnn.graph import for_htp
from quant.lower.result import LoweredProgram
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
    request = {"precision": source.precision, "soc": soc, "input_shape": list(source.input_shape)}
    program, answer = lower_in_child(graph, request, module="quant.lower.qnn.child", backend="qnn", remedy=_REMEDY)
    if not program.delegation.partitions:
        raise InputError("qnn: the compiler takes no operator of this network; choose another backend.")
    architecture, libraries = f"HTP v{SOCS[soc].generation}", f"QNN {answer['version']}"
    wheel = wheel_of(answer["version"])
    tried = "a release that nobody tried here" if wheel is None else f"as in onnxruntime-qnn {wheel}"
    return replace(
        program,
        facts=(
            f"for {soc}, {architecture}, by {libraries}: {tried}",
            "evaluated on the vendor's emulated HTP, not on silicon",
            LICENCE,
        ),
        npu={"soc": soc, "architecture": architecture, "libraries": libraries, "judged_on": "emulated HTP"},
    )
