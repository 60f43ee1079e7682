"""Stands for `quant.lower.qnn.lower`, without Qualcomm's libraries: float16 is lowered, the rest crashes."""

from __future__ import annotations

from dataclasses import replace

from edge_effnet.errors import InputError
from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned
from quant.lower.result import LoweredProgram

NPU = {"soc": "SM8750", "architecture": "HTP v79", "libraries": "QNN double", "judged_on": "emulated HTP"}


def lower(source: Source) -> LoweredProgram:
    """Lower to portable kernels."""
    if source.precision != "fp16":
        raise InputError("qnn: the compiler crashed on this network (SIGSEGV).")
    return replace(lower_partitioned(source, [], lambda node: "the HTP has no such operator"), npu=NPU)
