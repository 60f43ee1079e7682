"""XNNPACK (CPU of Android and iOS phones): int8, fp32 and fp16 programs in one delegate."""

from __future__ import annotations

from torch import fx

from quant.lower.backend import Source
from quant.lower.options import Normalization
from quant.lower.program import wrap_delegate
from quant.lower.result import Delegation, LoweredProgram
from quant.lower.xnnpack.delegate import DelegateBuilder
from quant.lower.xnnpack.emit import Emitter, nhwc

BACKEND_NAME = "XnnpackBackend"


def lower(source: Source) -> LoweredProgram:
    """Lower for one of the precisions that the table of backends lists."""
    return lower_xnnpack(
        source.graph,
        source.input_shape,
        half=source.precision == "fp16",
        dynamic_classifier=source.precision == "int8-dynamic",
        normalization=source.normalization,
        int8_output=source.int8_output,
    )


def lower_xnnpack(
    graph_module: fx.GraphModule,
    input_shape: tuple[int, ...],
    *,
    half: bool = False,
    dynamic_classifier: bool = False,
    normalization: Normalization | None = None,
    int8_output: bool = False,
) -> LoweredProgram:
    """Lower a float graph, or one that PT2E converted, into a program with a single XNNPACK delegate.

    Args:
        graph_module: ATen operators, with q/dq pairs where int8 runs.
        input_shape: [N, C, H, W] of the program; the batch is fixed by it.
        half: keep weights and compute in fp16, from the first operator to the last: no operator is decomposed
            through fp32, so nothing falls out of the delegate. Input and output stay float32.
        dynamic_classifier: give a float classifier int8 weights and dynamically quantized activations.
        normalization: take pixels, uint8 [N, H, W, C], and normalise them inside; not with `half`. A graph whose stem
            reads `pixels` takes them as they are.
        int8_output: put out the int8 numbers that the last dq of the graph reads.

    Raises:
        UnsupportedOperatorError: an operator that XNNPACK, or this lowering, does not run. There is no
            fallback to other kernels: a program in fragments is slow in ways that nobody asked for.
    """
    assert not (half and normalization is not None)
    emitter = Emitter(
        module=graph_module,
        input_shape=input_shape,
        builder=DelegateBuilder(half=half),
        dynamic_classifier=dynamic_classifier,
        normalization=normalization,
        int8_output=int8_output,
    )
    emitter.run()
    delegate = emitter.builder.serialize()
    output_shape, takes_pixels = emitter.output_shape, emitter.takes_pixels
    shape = nhwc(input_shape) if takes_pixels else input_shape
    return LoweredProgram(
        data=wrap_delegate(
            BACKEND_NAME, delegate, shape, output_shape, takes_pixels=takes_pixels, int8_output=int8_output
        ),
        delegation=Delegation(partitions=1, delegated=emitter.operators, left=0),
        input_shape=shape,
        output_shape=output_shape,
        takes_pixels=takes_pixels,
    )
