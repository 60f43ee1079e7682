"""Folded network -> the ATen graph that the quantizer annotates."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from quant.common.quiet import quiet_libraries
from quant.graph.compute import PlainInterpreter
from quant.graph.qdq import DEQUANTIZE

aten = torch.ops.aten


def export_graph(model: nn.Module, image_size: int, in_channels: int = 3) -> fx.GraphModule:
    """Export an inference network with a dynamic batch, SiLU written as `x * sigmoid(x)`.

    XNNPACK has no SiLU: the quantizer needs the two operators that really run, to give each its own scale.

    Args:
        model: a network in eval mode, input [N, in_channels, image_size, image_size] float32.
        image_size: side of the input, pixels.
        in_channels: channels of the input.

    Returns:
        A graph module of ATen operators, callable like `model` with any batch size.
    """
    # Two different sizes above 1: export would turn a batch of 1 into a constant.
    example = torch.zeros(2, in_channels, image_size, image_size)
    batch = torch.export.Dim("batch", min=1, max=4096)
    with quiet_libraries():
        exported = torch.export.export(model, (example,), dynamic_shapes=({0: batch},), strict=False)
        graph_module = exported.module(check_guards=False)
    assert isinstance(graph_module, fx.GraphModule)
    split_silu(graph_module)
    return graph_module


def split_silu(graph_module: fx.GraphModule) -> None:
    """Replace each `silu(x)` by `mul(x, sigmoid(x))`, in place; metadata of the activation is kept."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.target not in (aten.silu.default, aten.silu_.default):
            continue
        with graph.inserting_before(node):
            gate = graph.call_function(aten.sigmoid.default, (node.args[0],))
            product = graph.call_function(aten.mul.Tensor, (node.args[0], gate))
        for new in (gate, product):
            new.meta = {k: v for k, v in node.meta.items() if k in ("val", "nn_module_stack", "tensor_meta")}
        node.replace_all_uses_with(product)
        graph.erase_node(node)
    graph_module.recompile()


def silus_of(graph: fx.Graph) -> dict[fx.Node, tuple[fx.Node, fx.Node]]:
    """Find each `mul(x, sigmoid(x))`: the product, with x and the gate."""
    found = {}
    for node in graph.nodes:
        if node.target is not aten.mul.Tensor or len(node.args) != 2:
            continue
        x, gate = node.args
        if not (isinstance(x, fx.Node) and isinstance(gate, fx.Node)):
            continue
        if gate.target is aten.sigmoid.default and _same(gate.args[0], x):
            found[node] = (x, gate)
    return found


def _same(one: Any, other: fx.Node) -> bool:
    """Whether two nodes hold the same tensor: PT2E gives each reader of a q node a dq of its own."""
    return one is other or (
        isinstance(one, fx.Node) and (one.target, one.args) == (other.target, other.args) and one.target is DEQUANTIZE
    )


def join_silu(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Return a copy with each `mul(x, sigmoid(x))` as one `silu(x)`, for backends that have it."""
    with quiet_libraries():
        joined = copy.deepcopy(graph_module)
    graph = joined.graph
    for node, (x, gate) in silus_of(graph).items():
        with graph.inserting_before(node):
            silu = graph.call_function(aten.silu.default, (x,))
        silu.meta = dict(node.meta)
        node.replace_all_uses_with(silu)
        graph.erase_node(node)
        if not gate.users:
            graph.erase_node(gate)
    joined.recompile()
    return joined


class SiluAtOnce(PlainInterpreter):
    """An interpreter of a float graph that runs `x * sigmoid(x)` as the SiLU that it was before export.

    One operator less, forward and backward; what only a SiLU's product reads is not computed, and None.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        silus = silus_of(module.graph)
        self.sources = {product: x for product, (x, _) in silus.items()}
        """The node of each SiLU's output -> that of its input."""
        self.gates = {product: gate for product, (_, gate) in silus.items() if len(gate.users) == 1}
        """The node of each SiLU's output -> that of its gate, where nothing else reads it."""
        self.skipped = frozenset(self.gates.values())

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        if n in self.skipped:
            return None
        source = self.sources.get(n)
        return super().run_node(n) if source is None else F.silu(self.env[source])
