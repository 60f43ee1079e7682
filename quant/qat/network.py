"""A PT2E-converted graph made trainable: the int8 arithmetic of the program, with its constants as parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from quant.graph.pixels import pixels
from quant.graph.qdq import (
    CLAMP_RANGES,
    DEQUANTIZE,
    QMAX,
    QUANTIZE,
    Range,
    argument,
    constant_of,
    elements,
    following_quantize,
    fused_clamp,
    is_int8,
    is_weight,
    pair,
    tensor_scale,
)
from quant.lower.xnnpack.float_rules import FLOAT_RULES
from quant.ptq.quantizers import SAME_VALUES
from quant.qat import operators
from quant.qat.statistics import ChannelStatistics

aten = torch.ops.aten

SILU_GATE = aten.sigmoid.default

_IN_FLOAT = frozenset({*FLOAT_RULES, *CLAMP_RANGES, pixels})
"""What is computed in float: in a head, between a dq and a q; a clamp that a layer runs inside is absorbed."""

_CELL = 0.49
"""Half of a rounding cell, in steps, and a little less."""

_IDENTITIES = (aten.dropout.default,)  # in inference


@dataclass(frozen=True, kw_only=True, slots=True)
class Trainable:
    """A trainable network and where its parameters belong in the converted graph."""

    module: fx.GraphModule
    """Inputs and outputs as the converted graph's; forward equals the .pte."""
    scales: dict[str, str]
    """Name of a q node in the converted graph -> stem of its tensor's parameters."""
    layers: tuple[str, ...]
    """Names of the converted graph's convolution and linear nodes, and stems of their parameters."""

    def qparam_names(self) -> frozenset[str]:
        """Names of the parameters that are step sizes or zero points."""
        tensors = {f"{stem}_{what}" for stem in self.scales.values() for what in ("log_scale", "offset")}
        return frozenset(tensors | {f"{layer}_weight_log_scale" for layer in self.layers})

    def widest(self) -> tuple[str, float]:
        """The tensor whose range grew or shrank most, and by which factor."""
        parameters = dict(self.module.named_parameters())
        named = {stem: f"{stem}_log_scale" for stem in self.scales.values()}
        moved = {stem: parameters[name].detach().item() for stem, name in named.items() if name in parameters}
        # What is not finite any more is what broke first.
        stem = max(moved, key=lambda name: math.inf if math.isnan(moved[name]) else abs(moved[name]))
        factor = moved[stem] / QMAX
        return stem, math.exp(min(factor, 700.0)) if not math.isnan(factor) else math.nan


def trainable(
    converted: fx.GraphModule,
    unrounded: Mapping[str, torch.Tensor] | None = None,
    *,
    precision: torch.dtype = torch.float32,
    batch_statistics: bool = False,
) -> Trainable:
    """Make a converted graph trainable.

    Args:
        converted: from `convert_pt2e`, every operator in int8; left untouched.
        unrounded: by layer, what its int8 weights were rounded from, in their steps. From the middle of their
            rounding cells, where they start without, weights have half a step to go before anything changes.
        precision: in which the convolutions' gradients are computed.
        batch_statistics: whether convolutions normalise each batch while the module is in training mode.

    Raises:
        AssertionError: an operator in float.
    """
    builder = _Builder(converted, unrounded or {}, precision, batch_statistics)
    module = builder.build()
    return Trainable(module=module, scales=builder.scales, layers=tuple(builder.layers))


def write_back(network: Trainable, module: nn.Module, converted: fx.GraphModule) -> None:
    """Put what was learned into the converted graph, in place.

    Args:
        network: from `trainable(converted)`.
        module: `network.module` or a copy of it, such as its average.
        converted: the graph that it was made from.
    """
    values = {name: value.detach() for name, value in module.state_dict().items()}
    for node in converted.graph.nodes:
        if node.target is QUANTIZE and node.name in network.scales:
            stem = network.scales[node.name]
            if f"{stem}_log_scale" not in values:
                continue
            scale = operators.scale_of(values[f"{stem}_log_scale"], values[f"{stem}_start"], 1.0).item()
            zero = int(operators.zero_point_of(values[f"{stem}_offset"], values[f"{stem}_zero"], 1.0).item())
            for reader in (node, *(user for user in node.users if user.target is DEQUANTIZE)):
                reader.args = (reader.args[0], scale, zero, *reader.args[3:])
        elif node.name in network.layers:
            _write_layer(node, values, converted)
    converted.recompile()


def _write_layer(node: fx.Node, values: dict[str, torch.Tensor], converted: fx.GraphModule) -> None:
    start = values[f"{node.name}_weight_log_scale_start"]
    scale = operators.scale_of(values[f"{node.name}_weight_log_scale"], start, 1.0)
    weight = node.args[1]
    assert isinstance(weight, fx.Node)
    integers, scales = (constant_of(converted, weight.args[i]) for i in (0, 1))
    integers.copy_(operators.weight_steps(values[f"{node.name}_weight"], start, scale))
    scales.copy_(scale)
    if f"{node.name}_bias" in values:
        bias = operators.bias_of(*(values[f"{node.name}_bias{suffix}"] for suffix in ("", "_start", "_unit")))
        constant_of(converted, node.args[2]).copy_(bias)


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A quantized tensor in the trainable graph."""

    values: fx.Node
    scale: fx.Node
    zero: fx.Node
    stem: str
    """Of the names of its scale and zero point."""


@dataclass
class _Builder:
    source: fx.GraphModule
    unrounded: Mapping[str, torch.Tensor]
    precision: torch.dtype
    batch_statistics: bool
    graph: fx.Graph = field(default_factory=fx.Graph)
    root: nn.Module = field(default_factory=nn.Module)
    tensors: dict[fx.Node, _Tensor] = field(default_factory=dict)
    """By the q node that gives it."""
    floats: dict[fx.Node, fx.Node] = field(default_factory=dict)
    scales: dict[str, str] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)

    def build(self) -> fx.GraphModule:
        absorbed: set[fx.Node] = set()
        for node in self.source.graph.nodes:
            if node in absorbed or node.op == "get_attr" or is_weight(node):
                continue
            if node.op == "placeholder":
                self.floats[node] = self.graph.placeholder(node.name)
            elif node.op == "output":
                result = fx.map_arg(node.args[0], lambda n: self.floats[n])
                self.graph.output(result[0] if isinstance(result, (tuple, list)) else result)
            elif node.target is QUANTIZE:
                # Pixels have their scale.
                scale, zero = (self.fixed if node.args[0].target is pixels else self.qparams)(node)
                values = self.call(operators.quantize, self.floats[node.args[0]], scale, zero)
                self.tensors[node] = _Tensor(values, scale, zero, node.name)
            elif node.target is DEQUANTIZE:
                # Made for every dq; what only int8 operators read is dropped again as dead.
                tensor = self.tensors[node.args[0]]
                self.floats[node] = self.call(operators.dequantize, tensor.values, tensor.scale)
            elif node.target in _IDENTITIES:
                self.floats[node] = self.floats[node.args[0]]
            elif node.target in _IN_FLOAT:
                self.floats[node] = self.graph.node_copy(node, self.float_argument)
            else:
                absorbed |= self._absorb(node)
        self.graph.eliminate_dead_code()
        return fx.GraphModule(self.root, self.graph)

    def _absorb(self, node: fx.Node) -> set[fx.Node]:
        """Replace an operator, its fused clamp and its q; returns what it stands for."""
        assert node.target in _RULES and is_int8(node), f"{node.name} ({node.target}) does not run in int8"
        clamp = fused_clamp(node)
        quantize = following_quantize(clamp or node)
        assert quantize is not None
        limits = CLAMP_RANGES[clamp.target](clamp) if clamp is not None else operators.NO_LIMITS
        self.tensors[quantize] = _RULES[node.target](self, node, quantize, limits)
        return {quantize, *([clamp] if clamp is not None else [])}

    def call(self, function: Callable[..., torch.Tensor], *args: Any) -> fx.Node:
        return self.graph.call_function(function, args)

    def float_argument(self, node: fx.Node) -> fx.Node:
        """What an operator in float reads; its constants are not trained."""
        if node.op == "get_attr" and node not in self.floats:
            self.floats[node] = self.constant(f"{node.name}_fixed", constant_of(self.source, node))
        return self.floats[node]

    def read(self, node: Any) -> _Tensor:
        """The tensor behind a dq node."""
        return self.tensors[node.args[0]]

    def constant(self, name: str, value: torch.Tensor) -> fx.Node:
        self.root.register_buffer(name, value.clone())
        return self.graph.get_attr(name)

    def parameter(self, name: str, value: torch.Tensor) -> fx.Node:
        self.root.register_parameter(name, nn.Parameter(value.clone()))
        return self.graph.get_attr(name)

    def statistics(self, node: fx.Node) -> fx.Node:
        """Running statistics of a convolution."""
        name = f"{node.name}_statistics"
        self.root.add_module(name, ChannelStatistics(node.meta["val"].shape[1]))
        return self.graph.get_attr(name)

    def qparams(self, quantize: fx.Node) -> tuple[fx.Node, fx.Node]:
        """Learned scale and zero point of a q node's tensor."""
        source = quantize.args[0]
        assert isinstance(source, fx.Node)
        factor = 1.0 / math.sqrt(elements(source) * QMAX)
        start, zero = self.fixed(quantize)
        learned = [self.parameter(f"{quantize.name}_{what}", torch.zeros(())) for what in ("log_scale", "offset")]
        return (
            self.call(operators.scale_of, learned[0], start, factor),
            self.call(operators.zero_point_of, learned[1], zero, factor),
        )

    def fixed(self, quantize: fx.Node) -> tuple[fx.Node, fx.Node]:
        """Scale and zero point of a q node's tensor that are not learned."""
        stem, known = quantize.name, tensor_scale(quantize)
        self.scales[stem] = stem
        scale = self.constant(f"{stem}_start", torch.tensor(known.scale))
        return scale, self.constant(f"{stem}_zero", torch.tensor(float(known.zero_point)))

    def made(
        self, quantize: fx.Node, operator: Callable[..., torch.Tensor], given: tuple[Any, ...], *more: Any
    ) -> _Tensor:
        """A tensor of a learned scale and zero point, which the operator takes between `given` and `more`."""
        scale, zero = self.qparams(quantize)
        return _Tensor(self.call(operator, *given, scale, zero, *more), scale, zero, quantize.name)

    def shared(self, quantize: fx.Node, tensor: _Tensor, values: fx.Node) -> _Tensor:
        """A tensor that has another's scale."""
        self.scales[quantize.name] = tensor.stem
        return _Tensor(values, tensor.scale, tensor.zero, tensor.stem)


def _weighted(builder: _Builder, node: fx.Node, quantize: fx.Node) -> tuple[Any, ...]:
    """Input, its scale, weights, their scales and bias of a convolution or linear layer."""
    x = builder.read(node.args[0])
    weight = node.args[1]
    assert isinstance(weight, fx.Node)
    values, scales = (constant_of(builder.source, weight.args[i]) for i in (0, 1))
    builder.layers.append(node.name)
    start = builder.constant(f"{node.name}_weight_log_scale_start", scales.to(torch.float32))
    learned = builder.parameter(f"{node.name}_weight_log_scale", torch.zeros(len(scales)))
    scale = builder.call(operators.scale_of, learned, start, 1.0 / math.sqrt(values[0].numel() * QMAX))
    integers = values.to(torch.float32)
    # Never beyond the cell of its integer: the program that training starts from is the one that was judged.
    started = builder.unrounded.get(node.name, integers).clamp(integers - _CELL, integers + _CELL)
    steps = builder.parameter(f"{node.name}_weight", started)
    bias = None
    if argument(node, 2, None) is not None:
        known = constant_of(builder.source, node.args[2])
        offset = builder.parameter(f"{node.name}_bias", torch.zeros_like(known))
        unit = builder.constant(f"{node.name}_bias_unit", torch.tensor(tensor_scale(quantize).scale))
        bias = builder.call(operators.bias_of, offset, builder.constant(f"{node.name}_bias_start", known), unit)
    return x.values, x.scale, builder.call(operators.weight_steps, steps, start, scale), scale, bias


def _conv(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    geometry = (*(pair(argument(node, i, d)) for i, d in ((3, 1), (4, 0), (5, 1))), argument(node, 6, 1))
    layer = _weighted(builder, node, quantize)
    statistics = builder.statistics(node) if builder.batch_statistics else None
    return builder.made(quantize, operators.convolve, layer, limits, geometry, builder.precision, statistics)


def _linear(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    return builder.made(quantize, operators.multiply_matrix, _weighted(builder, node, quantize), limits)


def _mul(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    a, b = (builder.read(arg) for arg in node.args[:2])
    if _is_gate_of(node.args[1], node.args[0]):
        return builder.made(quantize, operators.silu, (a.values, a.scale), limits)
    return builder.made(quantize, operators.multiply, (a.values, a.scale, b.values, b.scale), limits)


def _is_gate_of(gate: Any, x: Any) -> bool:
    """Whether `gate` is the sigmoid of the tensor behind `x`: a SiLU."""
    behind = gate.args[0].args[0]
    return behind.target is SILU_GATE and behind.args[0].args[0] is x.args[0]


def _add(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    a, b = (builder.read(arg) for arg in node.args[:2])
    return builder.made(quantize, operators.add, (a.values, a.scale, b.values, b.scale), limits)


def _mean(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    x = builder.read(node.args[0])
    return builder.made(quantize, operators.mean, (x.values, x.scale, x.zero))


def _hardswish(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    x = builder.read(node.args[0])
    return builder.made(quantize, operators.hardswish, (x.values, x.scale))


def _sigmoid(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    # XNNPACK takes no other scale than this one.
    x = builder.read(node.args[0])
    scale, zero = builder.fixed(quantize)
    return _Tensor(builder.call(operators.sigmoid, x.values, x.scale), scale, zero, quantize.name)


def _same_values(builder: _Builder, node: fx.Node, quantize: fx.Node, limits: Range) -> _Tensor:
    x = builder.read(node.args[0])
    if node.target is aten.pad.default:
        return builder.shared(quantize, x, builder.call(operators.pad, x.values, node.args[1]))
    return builder.shared(quantize, x, builder.call(operators.flatten, x.values))


_RULES: dict[Any, Callable[[_Builder, fx.Node, fx.Node, Range], _Tensor]] = {
    aten.conv2d.default: _conv,
    aten.linear.default: _linear,
    aten.mul.Tensor: _mul,
    aten.mul_.Tensor: _mul,
    aten.add.Tensor: _add,
    aten.add_.Tensor: _add,
    aten.mean.dim: _mean,
    aten.hardswish.default: _hardswish,
    aten.hardswish_.default: _hardswish,
    SILU_GATE: _sigmoid,
    **dict.fromkeys(SAME_VALUES, _same_values),
}
