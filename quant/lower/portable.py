"""ExecuTorch's reference kernels: slow, everywhere, and what other backends are compared with."""

from __future__ import annotations

from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned
from quant.lower.result import LoweredProgram


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph to a program without delegates."""
    return lower_partitioned(
        source, [], lambda node: "portable has no delegate: reference kernels run every operator"
    )
