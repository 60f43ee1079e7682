"""Reading PT2E-converted graphs: q/dq pairs, what runs in int8, which clamps are fused, constants."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the quantized_decomposed operators
from torch import fx
from torch.nn import functional as F

aten = torch.ops.aten
decomposed = torch.ops.quantized_decomposed

QUANTIZE = decomposed.quantize_per_tensor.default
DEQUANTIZE = decomposed.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = decomposed.dequantize_per_channel.default

QMIN, QMAX = -128, 127
QMIN16, QMAX16 = -(2**15), 2**15 - 1

_MOST_BIAS_STEPS = 2**30

WEIGHTED = (aten.conv2d.default, aten.linear.default)

# What XNNPACK runs a clamp inside of, if the clamp is the only reader.
_TAKES_CLAMP = (*WEIGHTED, aten.add.Tensor)

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TensorScale:
    """Per-tensor affine quantization of an int8 activation: `real = scale * (q - zero_point)`."""

    scale: float
    zero_point: int


def argument(node: fx.Node, index: int, default: Any) -> Any:
    """Positional argument of a node, or its default where it was left out."""
    return node.args[index] if len(node.args) > index else default


def pair(value: Any) -> tuple[int, int]:
    """A convolution's setting for height and width, however it was written."""
    values = [value] if isinstance(value, int) else list(value)
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def geometry(convolution: fx.Node) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]:
    """Stride, padding, dilation and groups of a convolution."""
    stride, padding, dilation = (pair(argument(convolution, i, d)) for i, d in ((3, 1), (4, 0), (5, 1)))
    return stride, padding, dilation, int(argument(convolution, 6, 1))


def without_bias(layer: fx.Node, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What a convolution or linear layer gives with these weights, before its bias is added."""
    if layer.target is aten.linear.default:
        return F.linear(x, weight)
    return F.conv2d(x, weight, None, *geometry(layer))


def is_depthwise(convolution: fx.Node) -> bool:
    """Whether a convolution's filters each read one channel, or one of several groups."""
    return int(argument(convolution, 6, 1)) > 1


def elements(node: fx.Node) -> int:
    """Count the numbers that a node gives for one image."""
    return int(torch.Size(int(side) for side in node.meta["val"].shape[1:]).numel())


CLAMP_RANGES: dict[Any, Callable[[fx.Node], Range]] = {
    aten.relu.default: lambda node: (0.0, torch.inf),
    aten.relu_.default: lambda node: (0.0, torch.inf),
    aten.relu6.default: lambda node: (0.0, 6.0),
    aten.hardtanh.default: lambda node: (float(argument(node, 1, -1.0)), float(argument(node, 2, 1.0))),
    aten.hardtanh_.default: lambda node: (float(argument(node, 1, -1.0)), float(argument(node, 2, 1.0))),
}
"""Lower and upper limit of each clamp-like activation, in real units."""


def tensor_scale(node: fx.Node) -> TensorScale:
    """Scale and zero point of a per-tensor q or dq node."""
    return TensorScale(scale=float(node.args[1]), zero_point=int(node.args[2]))  # type: ignore[arg-type]


def grid_of(node: fx.Node) -> tuple[int, int]:
    """Smallest and largest whole number of a per-tensor q or dq node."""
    return int(node.args[3]), int(node.args[4])  # type: ignore[arg-type]


def following_quantize(node: fx.Node) -> fx.Node | None:
    """The q node that is the only reader of `node`."""
    users = list(node.users)
    return users[0] if len(users) == 1 and users[0].target is QUANTIZE else None


def fused_clamp(node: fx.Node) -> fx.Node | None:
    """The clamp that XNNPACK can run inside `node`."""
    users = list(node.users)
    return users[0] if node.target in _TAKES_CLAMP and len(users) == 1 and users[0].target in CLAMP_RANGES else None


def is_weight(node: Any) -> bool:
    """Whether a node gives quantized weights."""
    return isinstance(node, fx.Node) and node.target is DEQUANTIZE_CHANNELS


def is_int8(node: fx.Node) -> bool:
    """Whether XNNPACK runs `node` in int8: its weights are int8, its activations come from dq nodes, a q follows."""
    if node.target in WEIGHTED and not is_weight(node.args[1]):
        return False  # a layer left in float between int8 ones looks the same otherwise
    activations = [a for a in node.all_input_nodes if a.op != "get_attr" and not is_weight(a)]
    last = fused_clamp(node) or node
    return all(a.target is DEQUANTIZE for a in activations) and following_quantize(last) is not None


def constant_of(module: fx.GraphModule, node: Any) -> torch.Tensor:
    """The tensor behind a get_attr node."""
    assert isinstance(node, fx.Node) and node.op == "get_attr"
    tensor = operator.attrgetter(str(node.target))(module)
    assert isinstance(tensor, torch.Tensor)
    return tensor.detach()


def add_constant(module: fx.GraphModule, target: str, value: torch.Tensor) -> fx.Node:
    """Register a tensor under a new name; the node that reads it, inserted where the graph inserts now."""
    module.register_parameter(target, torch.nn.Parameter(value, requires_grad=False))
    node = module.graph.get_attr(target)
    node.meta["val"] = torch.empty_like(value, device="meta")  # as export leaves it: shapes are read from there
    return node


def least_weight_scale(bias: torch.Tensor, input_scale: float) -> torch.Tensor:
    """Scales of weights, [out], below which a bias may not fit its int32: with 16-bit inputs, steps are tiny."""
    return bias.abs() / (input_scale * _MOST_BIAS_STEPS / 2)


def quantize_bias(bias: torch.Tensor, input_scale: float, weight_scales: torch.Tensor) -> torch.Tensor:
    """A bias in the units of its layer's accumulator: int32, steps of input scale x weight scale.

    A channel whose weights are next to nothing has tiny steps, and a bias of many. Beyond 2**24 it is a whole number
    that float32 has, so that the simulation adds what the program adds; and the sum with the products stays in int32.
    """
    step = weight_scales.to(torch.float64) * input_scale
    steps = (bias.to(torch.float64) / step).round().clamp(-_MOST_BIAS_STEPS, _MOST_BIAS_STEPS)
    return steps.to(torch.float32).to(torch.int32)
