"""XNNPACK (CPU of Android and iOS phones): int8 and float32 programs in one delegate."""

from __future__ import annotations

from torch import fx

from quant.lower.program import wrap_delegate
from quant.lower.result import Delegation, LoweredProgram
from quant.lower.xnnpack_emit import Emitter

BACKEND_NAME = "XnnpackBackend"


def lower_xnnpack(graph_module: fx.GraphModule, input_shape: tuple[int, ...]) -> LoweredProgram:
    """Lower a float graph, or one that PT2E converted, into a program with a single XNNPACK delegate.

    Args:
        graph_module: ATen operators, with q/dq pairs where int8 runs.
        input_shape: [N, C, H, W] of the program; the batch is fixed by it.

    Raises:
        UnsupportedOperatorError: an operator that XNNPACK, or this lowering, does not run. There is no
            fallback to other kernels: a program in fragments is slow in ways that nobody asked for.
    """
    emitter = Emitter(module=graph_module, input_shape=input_shape)
    emitter.run()
    delegate = emitter.builder.serialize()
    output_shape = emitter.output_shape
    return LoweredProgram(
        data=wrap_delegate(BACKEND_NAME, delegate, input_shape, output_shape),
        delegation=Delegation(partitions=1, delegated=emitter.operators, left=0),
        input_shape=input_shape,
        output_shape=output_shape,
    )
