"""OpenVINO (Intel CPU, GPU, NPU): fp32 and int8, the whole network in one delegate."""

from __future__ import annotations

import copy

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import DEQUANTIZE_CHANNELS, constant_of, decomposed
from quant.lower.backend import Source
from quant.lower.program import wrap_delegate
from quant.lower.result import Delegation, LoweredProgram

BACKEND_NAME = "OpenvinoBackend"

_DEVICE = "CPU"


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph, or one with q/dq pairs, with OpenVINO's own converter.

    Executorch's partitioner is not used: OpenVINO converts the whole network or fails, and the executorch package
    around the partitioner needs NNCF for the quantizer beside it, which we do not use.

    Raises:
        ValueError: the network holds what OpenVINO does not run.
    """
    with quiet_libraries(), torch.no_grad():
        import openvino  # noqa: PLC0415  (an extra)

        exported = torch.export.export(
            _with_float_weights(source.graph), (torch.zeros(source.input_shape),), strict=False
        )
        try:
            model = openvino.convert_model(exported)
            model.reshape(list(source.input_shape))
            compiled = openvino.Core().compile_model(model, _DEVICE)
        except RuntimeError as error:
            raise ValueError(f"OpenVINO does not take this network: {error}") from error
        blob = bytes(compiled.export_model().getvalue())
        output_shape = tuple(int(side) for side in compiled.outputs[0].shape)
    operators = sum(node.op == "call_function" and "quantize" not in node.name for node in source.graph.graph.nodes)
    # The runtime reads the value as a C string.
    specs = {"device": _DEVICE.encode() + b"\0"}
    return LoweredProgram(
        data=wrap_delegate(BACKEND_NAME, blob, source.input_shape, output_shape, specs),
        delegation=Delegation(partitions=1, delegated=operators, left=0),
        input_shape=source.input_shape,
        output_shape=output_shape,
    )


def _with_float_weights(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Put a q in front of each weight's dq: OpenVINO reads the pair as one FakeQuantize of float weights."""
    unfolded = copy.deepcopy(graph_module)
    for node in list(unfolded.graph.nodes):
        if node.target is not DEQUANTIZE_CHANNELS:
            continue
        values, scales = (constant_of(unfolded, node.args[i]) for i in (0, 1))
        shape = (-1, *[1] * (values.dim() - 1))
        name = f"{node.name}_float"
        unfolded.register_buffer(name, values.to(torch.float32) * scales.to(torch.float32).view(shape))
        with unfolded.graph.inserting_before(node):
            weight = unfolded.graph.get_attr(name)
            quantize = unfolded.graph.call_function(decomposed.quantize_per_channel.default, (weight, *node.args[1:]))
        node.replace_input_with(node.args[0], quantize)
    unfolded.recompile()
    return unfolded
