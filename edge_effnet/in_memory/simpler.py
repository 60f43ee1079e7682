"""Operators of exported heads written with fewer kinds: what a phone's kernels have, and what heads have words for.

A head works on one number a channel, so a pixel's convolution is a Linear, reshaping to [N, C, 1, 1] is nothing, and
arithmetic with constants is what a BatchNorm does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

if TYPE_CHECKING:
    from edge_effnet.in_memory.head import HeadGraph

aten = torch.ops.aten

_EPS = 1e-5
"""torch's BatchNorm's."""


def _linear(head: HeadGraph, node: fx.Node) -> fx.Node | None:
    """With a bias, whatever it was without."""
    x, weight, *bias = _arguments(node)
    values = head.constants.get(weight)
    return None if values is None else _with_bias(head, x, values, bias)


def _convolution(head: HeadGraph, node: fx.Node) -> fx.Node | None:
    x, weight, *rest = _arguments(node)
    values = head.constants.get(weight)
    padded = len(rest) > 2 and any(rest[2])
    if values is None or values.shape[2:] != (1, 1) or padded or values.shape[1] != _channels(x):
        return None
    return _with_bias(head, x, values.flatten(1), rest[:1])


def _with_bias(head: HeadGraph, x: fx.Node, weight: torch.Tensor, bias: list[Any]) -> fx.Node:
    given = head.constants.get(bias[0]) if bias else None
    values = torch.zeros(len(weight)) if given is None else given
    return head.call(aten.linear.default, head.values[x], head.constant(weight), head.constant(values))


def _dropped(head: HeadGraph, node: fx.Node) -> fx.Node | None:
    """A reshape between [N, C] and [N, C, 1, 1], or a mean over one pixel."""
    x, *_ = _arguments(node)
    before, after = x.meta["val"].shape, node.meta["val"].shape
    same = len(after) >= 2 and before[1] == after[1] and all(side == 1 for side in (*before[2:], *after[2:]))
    return head.values[x] if same else None


def _identity(head: HeadGraph, node: fx.Node) -> fx.Node:
    return head.values[_arguments(node)[0]]


def _prelu(head: HeadGraph, node: fx.Node) -> fx.Node | None:
    x, slope = _arguments(node)
    values = head.constants.get(slope)
    if values is None or values.numel() != 1:
        return None
    return head.call(aten.leaky_relu.default, head.values[x], values.item())


_Affine = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From the constant to a scale and a shift."""


def _affine(change: _Affine, *, commutes: bool) -> _Rule:
    """Arithmetic of a tensor and a constant as a BatchNorm; None where both depend on the images."""

    def rule(head: HeadGraph, node: fx.Node) -> fx.Node | None:
        x, given = _arguments(node)[:2]
        if commutes and x in head.constants:
            x, given = given, x
        constant = head.constants.get(given) if isinstance(given, fx.Node) else torch.tensor(float(given))
        channels = _channels(x)
        if x in head.constants or constant is None or constant.numel() not in (1, channels) or node.kwargs:
            return None
        scale, shift = change(constant.flatten().to(torch.float32).expand(channels))
        statistics = torch.zeros(channels), torch.full((channels,), 1 - _EPS)
        tensors = (head.constant(value) for value in (scale, shift, *statistics))
        return head.call(aten.batch_norm.default, head.values[x], *tensors, False, 0.1, _EPS, False)

    return rule


def _channels(node: Any) -> int:
    return int(node.meta["val"].shape[1]) if isinstance(node, fx.Node) and node.meta["val"].ndim >= 2 else 0


def _arguments(node: fx.Node) -> list[Any]:
    return list(node.args)


_Rule = Callable[["HeadGraph", fx.Node], fx.Node | None]

_scaled = _affine(lambda c: (c, torch.zeros_like(c)), commutes=True)
_divided = _affine(lambda c: (1 / c, torch.zeros_like(c)), commutes=False)
_shifted = _affine(lambda c: (torch.ones_like(c), c), commutes=True)
_lowered = _affine(lambda c: (torch.ones_like(c), -c), commutes=False)

SIMPLER: dict[Any, _Rule] = {
    aten.linear.default: _linear,
    aten.conv2d.default: _convolution,
    aten.prelu.default: _prelu,
    **dict.fromkeys((aten.mul.Tensor, aten.mul_.Tensor), _scaled),
    **dict.fromkeys((aten.div.Tensor, aten.div_.Tensor), _divided),
    **dict.fromkeys((aten.add.Tensor, aten.add_.Tensor), _shifted),
    **dict.fromkeys((aten.sub.Tensor, aten.sub_.Tensor), _lowered),
    **dict.fromkeys((aten.dropout.default, aten.clone.default, aten.contiguous.default), _identity),
    **dict.fromkeys(
        (
            *(aten.view.default, aten.reshape.default, aten.flatten.using_ints, aten.unsqueeze.default),
            *(aten.squeeze.dim, aten.squeeze.dims, aten.squeeze.default),
            *(aten.mean.dim, aten.adaptive_avg_pool2d.default),
        ),
        _dropped,
    ),
}
"""By operator; a rule gives None for what it does not write otherwise."""
