"""ARM instructions and bytes of an int8 program, estimated from shapes: the currencies of what a recipe may add.

Fitted to counts of whole programs under qemu (`python benchmarks/arm_instructions.py`), cortex-a76, executorch 1.4.1:
processors with dot products. B0's estimate is within 2 % of its count.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import fx

from quant.graph.export import silus_of
from quant.graph.pixels import pixels
from quant.graph.qdq import WEIGHTED, elements, is_depthwise

aten = torch.ops.aten

# A multiply-accumulate of a matrix product, and each number that it puts out.
_POINTWISE, _OUTPUT = 0.09, 1.7
# A stem's gathers its inputs tap by tap.
_SPATIAL = 0.27
# An output of a depthwise layer, and each of its taps.
_DEPTHWISE, _TAP = 2.2, 0.51
# An element of a SiLU's table, of any other operator.
_TABLE, _ELEMENTWISE = 0.62, 2.6
# A number of the input: quantized, and moved to where channels lie last.
_INPUT = 7.3
# A number of pixels that are taken as they are.
_PIXEL = 1.0

# What a group more costs: the kernels' calls, more of them at each pixel of the narrow end, and for each channel
# there an addition and a second output.
_GROUP, _GROUP_PIXEL, _GROUP_OUTPUT = 5e3, 120.0, 8.4

# Bytes of tables for each end of a group, and of scale and bias for each channel there.
_GROUP_TABLES, _GROUP_CHANNEL = 1650, 8


def instructions(graph_module: fx.GraphModule) -> float:
    """Estimate one forward of one image, of an exported float graph quantized throughout."""
    silus = silus_of(graph_module.graph)
    within = {gate for _, gate in silus.values()}
    return sum(
        _TABLE * elements(node) if node in silus else _of(node)
        for node in graph_module.graph.nodes
        if node not in within
    )


def group_instructions(ends: Iterable[fx.Node]) -> float:
    """Estimate what one group more adds to a block: each kernel is called once more.

    Args:
        ends: the convolutions that mix the block's channels again, each of which becomes one more and a sum.
    """
    return sum(
        _GROUP + elements(node) * (_GROUP_PIXEL / int(node.meta["val"].shape[1]) + _GROUP_OUTPUT) for node in ends
    )


def weight_bytes(graph_module: fx.GraphModule) -> int:
    """Bytes of the int8 weights, most of the file."""
    weights = (node.args[1] for node in graph_module.graph.nodes if node.target in WEIGHTED)
    return sum(int(weight.meta["val"].numel()) for weight in weights)


def group_bytes(ends: Iterable[fx.Node]) -> float:
    """Estimate what one group more adds to the file; arguments as `group_instructions`."""
    return sum(_GROUP_TABLES + _GROUP_CHANNEL * int(node.meta["val"].shape[1]) for node in ends)


def _of(node: fx.Node) -> float:
    if node.op == "placeholder":
        return 0.0 if any(user.target is pixels for user in node.users) else _INPUT * elements(node)
    if node.target is pixels:
        return _PIXEL * elements(node)
    if node.target not in WEIGHTED:
        return _ELEMENTWISE * elements(node) if node.op == "call_function" else 0.0
    weight, outputs = node.args[1], elements(node)
    assert isinstance(weight, fx.Node)
    taps = int(weight.meta["val"][0, 0].numel()) if node.target is aten.conv2d.default else 1
    if node.target is aten.conv2d.default and is_depthwise(node):
        return (_DEPTHWISE + _TAP * taps) * outputs
    return ((_POINTWISE if taps == 1 else _SPATIAL) * int(weight.meta["val"][0].numel()) + _OUTPUT) * outputs
