"""What can stay in float, whole or not at all: a convolution with its activation, or what is left of a module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import fx

from quant.graph.qdq import CLAMP_RANGES, WEIGHTED

aten = torch.ops.aten

_ACTIVATIONS = (
    *CLAMP_RANGES,
    aten.sigmoid.default,
    aten.mul.Tensor,
    aten.hardswish.default,
    aten.hardswish_.default,
)


@dataclass(frozen=True, slots=True)
class Unit:
    """What goes to float together."""

    name: str
    """Module, such as `stages.1.0.expand`; `stages.1.0` for its residual addition."""
    nodes: tuple[fx.Node, ...]
    """A convolution or a Linear of a head (and the one that equalization put beside it) with its padding and
    activation; or the operators of a module that belong to none: squeeze-excite's pooling and product, a residual
    addition, the classifier."""


def units(graph_module: fx.GraphModule) -> list[Unit]:
    """Return the units of an exported graph, from input to output."""
    found: dict[str, dict[fx.Node, None]] = {}
    taken: set[fx.Node] = set()
    for node in graph_module.graph.nodes:
        if node.op != "call_function" or node in taken:
            continue
        nodes = found.setdefault(module_of(node).removesuffix(".conv").removesuffix(".pad"), {})
        nodes[node] = None
        if node.target in WEIGHTED:
            nodes.update(dict.fromkeys(user for user in node.users if user.target in _ACTIVATIONS))
        taken.update(nodes)
    return [Unit(name, tuple(nodes)) for name, nodes in found.items()]


def convolution_units(graph_module: fx.GraphModule) -> list[Unit]:
    """Those of the units that hold a convolution, from input to output: what recipes count."""
    found = units(graph_module)
    return [unit for unit in found if any(node.target is aten.conv2d.default for node in unit.nodes)]


def nodes_of(chosen: Iterable[Unit]) -> frozenset[str]:
    """Names of the graph nodes of some units, as `EfficientNetQuantizer.float_nodes` takes them."""
    return frozenset(node.name for unit in chosen for node in unit.nodes)


def module_of(node: fx.Node) -> str:
    """Name of the module that a node of an exported graph was written in; the node's own without one."""
    stack = node.meta.get("nn_module_stack")
    path = list(stack.values())[-1][0] if stack else ""
    return str(path) or node.name
