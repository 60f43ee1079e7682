"""A PT2E-converted graph as the integer arithmetic that XNNPACK runs: what the .pte will answer, in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from quant.graph.qdq import (
    CLAMP_RANGES,
    DEQUANTIZE,
    QUANTIZE,
    WEIGHTED,
    TensorScale,
    argument,
    constant_of,
    following_quantize,
    fused_clamp,
    geometry,
    grid_of,
    is_int8,
    is_weight,
    quantize_bias,
    tensor_scale,
)
from quant.lower.xnnpack import arithmetic

aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """A graph in whole-number arithmetic, and where the operators of the converted graph went."""

    module: fx.GraphModule
    """Same inputs and outputs as the converted graph. Equal to the runtime to the bit (up to sums beyond 2**24
    and float layers' rounding), and several times faster than PT2E's q/dq operators."""
    operators: dict[str, fx.Node]
    """Name of an int8 operator in the converted graph -> node of `module` that gives its int8 output; of a gate that
    is not computed, a node that is not there. A layer's
    constants are buffers of `module`: `<name>_weight`, `<name>_bias`, `<name>_scale`; whole
    numbers have a `meta["scale"]`, their `TensorScale`, and a `meta["dtype"]`, which holds them."""
    floats: dict[str, fx.Node]
    """Name of a float operator in the converted graph -> its copy in `module`."""


def simulation_of(converted: fx.GraphModule, arithmetic: str = "xnnpack", *, gates: bool = False) -> Simulation:
    """Rewrite a converted graph into whole-number arithmetic.

    Args:
        converted: from `convert_pt2e`; left untouched.
        arithmetic: whose operators compute in whole numbers, a key of `ARITHMETICS`; the others do in float between
            a dq and a q.
        gates: whether a sigmoid that only its SiLU's product reads is computed too.
    """
    builder = _Builder(converted, ARITHMETICS[arithmetic], gates)
    return Simulation(module=builder.build(), operators=builder.operators, floats=builder.floats)


@dataclass
class _Builder:
    source: fx.GraphModule
    rules: Mapping[Any, Any]
    gates: bool
    graph: fx.Graph = field(default_factory=fx.Graph)
    root: torch.nn.Module = field(default_factory=torch.nn.Module)
    values: dict[fx.Node, fx.Node] = field(default_factory=dict)
    """Stands for: float tensors as they are; q nodes (and what they absorb) as whole numbers."""
    operators: dict[str, fx.Node] = field(default_factory=dict)
    floats: dict[str, fx.Node] = field(default_factory=dict)

    def build(self) -> fx.GraphModule:
        for node in self.source.graph.nodes:
            if node in self.values or is_weight(node):
                continue
            if node.op == "output":
                result = fx.map_arg(node.args[0], lambda n: self.values[n])
                self.graph.output(result[0] if isinstance(result, (tuple, list)) else result)
                continue
            rule = self.rules.get(node.target) if node.op == "call_function" and is_int8(node) else None
            if rule is not None:
                self._absorb(node, rule)
            elif node.target is QUANTIZE:
                scale = tensor_scale(node)
                result = self.call(
                    arithmetic.quantize, self.values[node.args[0]], scale.scale, scale.zero_point, grid_of(node)
                )
                result.meta |= {"scale": scale, "dtype": node.args[5]}
                self.values[node] = result
            elif node.target is DEQUANTIZE:
                scale = tensor_scale(node)
                self.values[node] = self.call(
                    arithmetic.dequantize, self.values[node.args[0]], scale.scale, scale.zero_point
                )
            else:
                self._copy(node)
        # A dq that only int8 operators read is not needed: they take the whole numbers behind it.
        self.graph.eliminate_dead_code()
        module = fx.GraphModule(self.root, self.graph)
        module.eval()
        return module

    def call(self, function: Callable[..., torch.Tensor], *args: Any) -> fx.Node:
        return self.graph.call_function(function, args)

    def constant(self, name: str, value: torch.Tensor) -> fx.Node:
        self.root.register_buffer(name, value, persistent=False)
        return self.graph.get_attr(name)

    def look_up(self, node: fx.Node, x: fx.Node, table: torch.Tensor) -> fx.Node:
        return self.call(arithmetic.look_up, x, self.constant(f"{node.name}_table", table))

    def integers(self, node: Any) -> tuple[fx.Node, TensorScale]:
        """The whole numbers behind a dq node, and their scale."""
        return self.values[node.args[0]], tensor_scale(node)

    def _absorb(self, node: fx.Node, rule: Any) -> None:
        """Replace an operator, its fused clamp and its q by one integer operator."""
        clamp = fused_clamp(node)
        quantize = following_quantize(clamp or node)
        assert quantize is not None
        limits = CLAMP_RANGES[clamp.target](clamp) if clamp is not None else None
        scale = tensor_scale(quantize)
        result = rule(self, node, scale, arithmetic.clamp_limits(limits, scale, grid_of(quantize)))
        result.meta |= {"scale": scale, "dtype": quantize.args[5]}
        self.operators[node.name] = result
        for covered in (node, clamp, quantize):
            if covered is not None:
                self.values[covered] = result

    def _copy(self, node: fx.Node) -> None:
        """Keep a float operator; quantized weights that it reads become float ones."""
        for source in node.all_input_nodes:
            if is_weight(source) and source not in self.values:
                values, scales = (constant_of(self.source, source.args[i]) for i in (0, 1))
                real = values.to(torch.float32) * scales.view(-1, *[1] * (values.dim() - 1))
                self.values[source] = self.constant(f"{source.name}_real", real)
        if node.op == "get_attr":
            self.values[node] = self.constant(f"c_{node.name}", constant_of(self.source, node))
            return
        copied = self.values[node] = self.graph.node_copy(node, lambda n: self.values[n])
        if node.op == "call_function":
            self.floats[node.name] = copied


def _layer(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
    x, source = builder.integers(node.args[0])
    weight = node.args[1]
    assert isinstance(weight, fx.Node)
    values, scales = (constant_of(builder.source, weight.args[i]) for i in (0, 1))
    bias = None
    if argument(node, 2, None) is not None:
        integers = quantize_bias(constant_of(builder.source, node.args[2]), source.scale, scales)
        bias = builder.constant(f"{node.name}_bias", integers.to(torch.float32))
    window = geometry(node) if node.target is aten.conv2d.default else None
    ratio = arithmetic.requantization_scale(source.scale, scales, scale.scale)
    return builder.call(
        arithmetic.weighted_layer,
        x,
        builder.constant(f"{node.name}_weight", values.to(torch.float32)),
        bias,
        builder.constant(f"{node.name}_scale", ratio if window is None else ratio.view(-1, 1, 1)),
        source.zero_point,
        scale.zero_point,
        limits,
        window,
    )


def _mul(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
    (a, first), (b, second) = (builder.integers(arg) for arg in node.args[:2])
    product = arithmetic.product_scale(first.scale, second.scale, scale.scale)
    settings = (product, first.zero_point, second.zero_point, scale.zero_point, limits)
    if not builder.gates and b.target is arithmetic.look_up and b.args[0] is a:
        # A SiLU: of one int8 value both, so that one table holds it all.
        table = b.args[1]
        assert isinstance(table, fx.Node)
        gates = getattr(builder.root, str(table.target))
        return builder.look_up(node, a, arithmetic.multiply(arithmetic.EVERY, gates, *settings))
    return builder.call(arithmetic.multiply, a, b, *settings)


def _add(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
    (a, first), (b, second) = (builder.integers(arg) for arg in node.args[:2])
    parameters = arithmetic.add_parameters(first, second, scale)
    return builder.call(arithmetic.add, a, b, *parameters, scale.zero_point, limits)


def _mean(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
    x, source = builder.integers(node.args[0])
    return builder.call(arithmetic.pool, x, source.scale, source.zero_point, scale.scale, scale.zero_point)


def _table(function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    def rule(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
        x, source = builder.integers(node.args[0])
        return builder.look_up(node, x, arithmetic.table_of(function, source, scale))

    return rule


def _flatten(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
    return builder.call(torch.flatten, builder.integers(node.args[0])[0], 1)


def _pad(builder: _Builder, node: fx.Node, scale: TensorScale, limits: tuple[int, int]) -> fx.Node:
    x, source = builder.integers(node.args[0])
    return builder.call(F.pad, x, node.args[1], "constant", source.zero_point)


_XNNPACK: dict[Any, Any] = {
    **dict.fromkeys(WEIGHTED, _layer),
    aten.mul.Tensor: _mul,
    aten.add.Tensor: _add,
    aten.add_.Tensor: _add,
    aten.mean.dim: _mean,
    aten.sigmoid.default: _table(arithmetic.logistic),
    aten.hardswish.default: _table(F.hardswish),
    aten.hardswish_.default: _table(F.hardswish),
    aten.flatten.using_ints: _flatten,
    aten.pad.default: _pad,
}

ARITHMETICS: Mapping[str, Mapping[Any, Any]] = {
    "xnnpack": _XNNPACK,
    # Qualcomm's HTP, Arm's TOSA, Vulkan: float32's own rounding behind every operator but these (docs/npu.md).
    "htp": dict.fromkeys(WEIGHTED, _layer),
}
"""Whose whole-number operators, by name."""
