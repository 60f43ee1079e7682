"""A converted graph as executorch's TOSA lowering wants it: SiLUs whole, int32 biases, sums for means, marks."""

from __future__ import annotations

import torch
from torch import fx

from quant.graph.export import join_silu
from quant.graph.qdq import DEQUANTIZE, DEQUANTIZE_CHANNELS, QUANTIZE, following_quantize, tensor_scale
from quant.lower.npu_grids import complete_layers

aten = torch.ops.aten

_PAIRS = (QUANTIZE, DEQUANTIZE, DEQUANTIZE_CHANNELS)


def for_tosa(converted: fx.GraphModule) -> fx.GraphModule:
    """Return a copy of a graph of the placement `htp`; the numbers stay what they were.

    A SiLU becomes one operator, which TOSA writes as a table: the exact SiLU of each of 256 inputs, rounded.
    """
    graph_module = join_silu(converted)
    complete_layers(graph_module)
    graph_module.graph.eliminate_dead_code()
    graph_module.graph.lint()
    graph_module.recompile()
    return graph_module


def prepare(exported: torch.export.ExportedProgram) -> None:
    """Ready an exported graph, in place, for executorch's Arm passes, which know their own quantizer's graphs only.

    They take an operator for int8 where that quantizer marked it. And they write a mean as a sum that is rounded to 8
    bits and then a product: here it is the sum alone, exact in int32, on a grid as many times wider, so that its 8
    bits are the mean's.
    """
    for node in exported.graph.nodes:
        if node.op != "call_function" or node.target in _PAIRS:
            continue
        quantize = following_quantize(node)
        if quantize is None:
            continue
        node.meta["custom"] = {"_arm_annotation_info": {"quantized": True}}
        if node.target is aten.mean.dim:
            assert isinstance(node.args[0], fx.Node)
            count = node.args[0].meta["val"].numel() // node.meta["val"].numel()
            node.target = aten.sum.dim_IntList
            quantize.update_arg(1, tensor_scale(quantize).scale * count)
