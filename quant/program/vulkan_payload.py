"""Read the operators of a Vulkan delegate's payload.

The format is executorch's `backends/vulkan/serialization/schema.fbs` behind a header; numbers below count the fields
of its tables.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping

from quant.program.flatbuffer import BrokenTableError, Budget, FlatTable

_HEAD = struct.Struct("<4x4sHII")


def read_operators(data: bytes | memoryview, budget: Budget | None = None) -> Mapping[str, int]:
    """How often each operator runs, by the name of its Vulkan implementation.

    Raises:
        BrokenTableError: not a payload, or a broken one.
    """
    view = memoryview(data)
    if len(view) < _HEAD.size or bytes(view[4:8]) != b"VH00":
        raise BrokenTableError(f"{bytes(view[4:8])!r} stands where VH00 should")
    _, _, offset, size = _HEAD.unpack_from(view)
    graph = FlatTable.root(view[offset : offset + size], budget)
    return Counter(graph.map(1, lambda call: call.text(1)))


ADRENO = (
    "GPUs of the Adreno family (Snapdragon) were reported to give wrong or varying results with ExecuTorch's Vulkan "
    "backend, one of EfficientNetV2-S 24 different ones in 25 runs (pytorch/executorch #21938, #21939, #22327); Mali "
    "not. Compare on the phone before you ship: edge-effnet check --device adb."
)
"""Said of every Vulkan program; the reports are open as of executorch 1.4.1."""
