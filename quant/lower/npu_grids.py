"""What NPUs' compilers want of a converted graph beyond XNNPACK's: a grid before a fused clamp, int32 biases."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from quant.graph.qdq import (
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    QUANTIZE,
    WEIGHTED,
    argument,
    constant_of,
    following_quantize,
    fused_clamp,
    is_weight,
    least_weight_scale,
    quantize_bias,
    tensor_scale,
)


def complete_layers(graph_module: fx.GraphModule) -> None:
    """Give each layer, in place, an int32 bias, and the grid of the clamp behind it, which is then the grid's end."""
    for node in list(graph_module.graph.nodes):
        clamp = fused_clamp(node)
        behind = following_quantize(clamp) if clamp is not None else None
        if behind is not None:
            put_grid_behind(node, behind.args[1:])
        if node.target in WEIGHTED and is_weight(node.args[1]):
            _quantize_bias(graph_module, node)


def put_grid_behind(node: fx.Node, grid: tuple[Any, ...]) -> None:
    """Put a q/dq pair behind a node that has none."""
    if following_quantize(node) is not None:
        return
    readers = list(node.users)
    with node.graph.inserting_after(node):
        quantize = node.graph.call_function(QUANTIZE, (node, *grid))
    with node.graph.inserting_after(quantize):
        dequantize = node.graph.call_function(DEQUANTIZE, (quantize, *grid))
    for reader in readers:
        reader.replace_input_with(node, dequantize)


def _quantize_bias(graph_module: fx.GraphModule, node: fx.Node) -> None:
    """Put a layer's bias into int32, in steps of input scale x weight scale, behind a dq.

    With 16-bit inputs the steps of a nearly dead channel, whose weights are next to nothing, are so tiny that its
    bias does not fit: such a channel's weights get a larger scale.
    """
    weight = node.args[1]
    assert isinstance(weight, fx.Node) and isinstance(node.args[0], fx.Node)
    bias = argument(node, 2, None)
    if bias is None:
        return
    values, scales = (constant_of(graph_module, weight.args[i]) for i in (0, 1))
    input_scale, real = tensor_scale(node.args[0]).scale, constant_of(graph_module, bias)
    wider = torch.maximum(scales, least_weight_scale(real, input_scale).to(scales.dtype))
    shape = (-1, *[1] * (values.dim() - 1))
    values.copy_((values * (scales / wider).view(shape)).round())
    scales.copy_(wider)
    constants = {
        "values": quantize_bias(real, input_scale, wider),
        "steps": (wider.double() * input_scale).float(),
        "zeros": torch.zeros(len(real), dtype=torch.int32),
    }
    limits = torch.iinfo(torch.int32)
    with graph_module.graph.inserting_before(node):
        for name, tensor in constants.items():
            graph_module.register_buffer(f"{node.name}_bias_{name}", tensor)
        read = [graph_module.graph.get_attr(f"{node.name}_bias_{name}") for name in constants]
        dequantize = graph_module.graph.call_function(
            DEQUANTIZE_CHANNELS, (*read, 0, limits.min, limits.max, torch.int32)
        )
    node.update_arg(2, dequantize)
