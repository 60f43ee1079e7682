"""A converted graph as Qualcomm's compiler wants it: unsigned grids, int32 biases, a grid behind every operator."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
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

aten = torch.ops.aten

# Signed grid in our graphs -> (offset, largest value, dtype that executorch's passes know it by).
_UNSIGNED: dict[torch.dtype, tuple[int, int, torch.dtype]] = {
    torch.int8: (2**7, 2**8 - 1, torch.uint8),
    # torch has no arithmetic for uint16: executorch's passes take an int32 of this range for it.
    torch.int16: (2**15, 2**16 - 1, torch.int32),
}


def for_htp(converted: fx.GraphModule) -> fx.GraphModule:
    """Return a copy of a graph converted for a placement of the HTP, ready for executorch's QNN passes.

    The numbers stay what they were: grids are shifted, not changed; a sigmoid inside a SiLU gets the grid from 0 to
    1 that the compiler fuses away, and a convolution that of the clamp behind it, which is then the grid's end.
    """
    with quiet_libraries():
        graph_module = copy.deepcopy(converted)
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.target is aten.sigmoid.default:
            _put_grid_behind(node, _sigmoid_grid(node))
        clamp = fused_clamp(node)
        behind = following_quantize(clamp) if clamp is not None else None
        if behind is not None:
            _put_grid_behind(node, behind.args[1:])
        if node.target in WEIGHTED and is_weight(node.args[1]):
            _quantize_bias(graph_module, node)
    for node in graph.nodes:
        if node.target in (QUANTIZE, DEQUANTIZE) and node.args[5] in _UNSIGNED:
            source, scale, zero_point = node.args[:3]
            offset, most, dtype = _UNSIGNED[node.args[5]]
            node.args = (source, scale, zero_point + offset, 0, most, dtype)
    graph.lint()
    graph_module.recompile()
    return graph_module


def _put_grid_behind(node: fx.Node, grid: tuple[Any, ...]) -> None:
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


def _sigmoid_grid(gate: fx.Node) -> tuple[Any, ...]:
    """0 to 1 in as many steps as what the sigmoid reads."""
    source = gate.args[0]
    assert isinstance(source, fx.Node)
    least, most, dtype = source.args[3:6]
    assert isinstance(least, int) and isinstance(most, int)
    return (1.0 / (most - least + 1), least, least, most, dtype)


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
