"""What a layer costs on the phone-like CPU of this host, in int8 and in float: a table measured once.

Only the ratio of the figures matters: it orders the layers by what their float fallback costs. The figures are
printed by `python benchmarks/operator_costs.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import fx

from quant.graph.fallback_units import Unit
from quant.graph.qdq import elements, is_depthwise

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class OperatorCost:
    """Nanoseconds on one thread."""

    int8: float
    float32: float


# AMD EPYC (AVX-512), one thread, executorch 1.4.1, 2026-11-24.
OPERATOR_COSTS: dict[str, OperatorCost] = {
    "pointwise": OperatorCost(int8=0.0056, float32=0.0210),  # a multiply-accumulate
    "depthwise": OperatorCost(int8=0.0569, float32=0.0680),
    "spatial": OperatorCost(int8=0.0047, float32=0.0181),
    "elementwise": OperatorCost(int8=0.0440, float32=0.1460),  # an element
}

CONVERSION_COST = 0.017
"""Between int8 and float, an element."""


def added_milliseconds(graph_module: fx.GraphModule, chosen: Iterable[Unit]) -> float:
    """Latency that some units in float add to an int8 program, conversions included, estimated, ms."""
    floats = {node for unit in chosen for node in unit.nodes}
    nanoseconds = sum(_difference(node) for node in floats)
    for node in graph_module.graph.nodes:
        readers = {user in floats for user in node.users}
        # A tensor that crosses is converted once, whoever reads it.
        if node.op in ("placeholder", "call_function") and (node not in floats) in readers:
            nanoseconds += CONVERSION_COST * elements(node)
    return nanoseconds / 1e6


def node_milliseconds(node: fx.Node, *, in_float: bool) -> float:
    """Latency of one operator, estimated, ms."""
    cost, work = _cost_of(node)
    return (cost.float32 if in_float else cost.int8) * work / 1e6


def _difference(node: fx.Node) -> float:
    cost, work = _cost_of(node)
    return (cost.float32 - cost.int8) * work


def _cost_of(node: fx.Node) -> tuple[OperatorCost, float]:
    """A row of the table, and how much there is of its unit."""
    if node.target is aten.conv2d.default:
        weight = node.args[1]
        assert isinstance(weight, fx.Node)
        _, group_inputs, height, width = weight.meta["val"].shape
        kind = "depthwise" if is_depthwise(node) else ("pointwise" if height * width == 1 else "spatial")
        work = elements(node) * group_inputs * height * width
    elif node.target is aten.linear.default:
        weight = node.args[1]
        assert isinstance(weight, fx.Node)
        kind, work = "pointwise", weight.meta["val"].numel()
    else:
        kind, work = "elementwise", elements(node)
    return OPERATOR_COSTS[kind], float(work)
