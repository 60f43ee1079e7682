"""A converted graph as Qualcomm's compiler wants it: unsigned grids, int32 biases, a grid behind every operator."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import DEQUANTIZE, QUANTIZE
from quant.lower.npu_grids import complete_layers, put_grid_behind

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
            put_grid_behind(node, _sigmoid_grid(node))
    complete_layers(graph_module)
    for node in graph.nodes:
        if node.target in (QUANTIZE, DEQUANTIZE) and node.args[5] in _UNSIGNED:
            source, scale, zero_point = node.args[:3]
            offset, most, dtype = _UNSIGNED[node.args[5]]
            node.args = (source, scale, zero_point + offset, 0, most, dtype)
    graph.lint()
    graph_module.recompile()
    return graph_module


def _sigmoid_grid(gate: fx.Node) -> tuple[Any, ...]:
    """0 to 1 in as many steps as what the sigmoid reads."""
    source = gate.args[0]
    assert isinstance(source, fx.Node)
    least, most, dtype = source.args[3:6]
    assert isinstance(least, int) and isinstance(most, int)
    return (1.0 / (most - least + 1), least, least, most, dtype)
