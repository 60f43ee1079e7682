"""Stands for `quant.lower.qnn.lower`, without Qualcomm's libraries, and for Arm's: float16 is lowered, w8a8 crashes.

An Ethos-U program comes out whose emulator cannot load it: what it would run is not there.
"""

from __future__ import annotations

from dataclasses import replace

from edge_effnet.errors import InputError
from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned
from quant.lower.program import wrap_delegate
from quant.lower.result import Delegation, LoweredProgram

NPU = {"soc": "SM8750", "architecture": "HTP v79", "libraries": "QNN double", "judged_on": "emulated HTP"}


def lower(source: Source) -> LoweredProgram:
    """Lower to portable kernels."""
    if source.precision == "u85-256":
        data = wrap_delegate("EthosUBackend", b"", source.input_shape, (1, 2))
        return LoweredProgram(
            data=data,
            delegation=Delegation(partitions=1, delegated=1, left=0),
            input_shape=source.input_shape,
            output_shape=(1, 2),
        )
    if source.precision != "fp16":
        raise InputError("qnn: the compiler crashed on this network (SIGSEGV).")
    return replace(lower_partitioned(source, [], lambda node: "the HTP has no such operator"), npu=NPU)
