"""An exported head as a row of layers that `edge_effnet.head` has words for, where it is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn

from edge_effnet.head import LINEAR, NORMS, OUTPUTS, kind_of_step, make_head

aten = torch.ops.aten


def told_head(head: fx.GraphModule, features: int) -> tuple[tuple[str, ...], nn.Module, str | None] | None:
    """Read a head of `carried_head`, which reads so many features, as a row of layers.

    Returns:
        Its steps up to the logits; these as layers, [N, features] -> logits; and the word of `OUTPUTS` behind them.
        None where operators do not follow each other one by one, or one of them has no word.
    """
    steps: list[str] = []
    tensors: list[Mapping[str, torch.Tensor]] = []
    (last,) = (node for node in head.graph.nodes if node.op == "placeholder")
    for node in head.graph.nodes:
        if node.op != "call_function" or node.target is aten.sym_size.int:
            continue
        if last not in node.args[:1] or [*last.users] != [node] or node.target not in _RULES or node.kwargs:
            return None
        found = _RULES[node.target](head, *node.args[1:])
        if found is None:
            return None
        last = node
        steps.append(found[0])
        tensors.append(found[1])
    output = steps.pop() if steps and steps[-1] in OUTPUTS and LINEAR in steps else None
    if LINEAR not in steps or "softmax" in steps:
        return None
    return tuple(steps), _filled(steps, tensors, features), output


def _filled(steps: list[str], tensors: list[Mapping[str, torch.Tensor]], features: int) -> nn.Module:
    widths = [len(given["weight"]) for step, given in zip(steps, tensors, strict=False) if step == LINEAR]
    made = make_head(steps, features, widths)
    for layer, step, given in zip(made if isinstance(made, nn.Sequential) else [made], steps, tensors, strict=False):
        state = layer.state_dict()
        if kind_of_step(step) in (LINEAR, *NORMS):
            neutral = {"weight": torch.ones, "bias": torch.zeros}
            filled = {name: neutral[name](state[name].shape) for name in neutral if name not in given}
            layer.load_state_dict({**state, **given, **filled})
    return made.eval().requires_grad_(False)


_Found = tuple[str, dict[str, torch.Tensor]] | None
_Rule = Callable[..., _Found]
"""From the exported head and what an operator takes beside its input; None for what has no word."""


def _tensors(head: fx.GraphModule, **nodes: Any) -> dict[str, torch.Tensor]:
    """Values of the constants that an operator reads, where it has them."""
    given = {name: attrgetter(str(node.target))(head) for name, node in nodes.items() if isinstance(node, fx.Node)}
    return {name: value.detach().clone() for name, value in given.items()}


def _numbered(step: str, number: float) -> str:
    """A step with its number as `edge_effnet.head.parse_head` reads it."""
    return f"{step}:{number:.10f}".rstrip("0").rstrip(".")


def _linear(head: fx.GraphModule, weight: fx.Node, bias: fx.Node | None = None) -> _Found:
    return LINEAR, _tensors(head, weight=weight, bias=bias)


def _batchnorm(head: fx.GraphModule, *arguments: Any) -> _Found:
    weight, bias, mean, variance, training, _, eps, *_ = arguments
    found = _tensors(head, weight=weight, bias=bias, running_mean=mean, running_var=variance)
    return None if training else (_numbered("batchnorm", eps), found)


def _layernorm(
    head: fx.GraphModule, shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5, *_: Any
) -> _Found:
    found = _tensors(head, weight=weight, bias=bias)
    return (_numbered("layernorm", eps), found) if len(shape) == 1 else None


def _plain(step: str) -> _Rule:
    return lambda _, *others: None if others else (step, {})


def _sloped(step: str, default: float) -> _Rule:
    return lambda _, slope=default, *others: None if others else (_numbered(step, slope), {})


_RULES: dict[Any, _Rule] = {
    aten.linear.default: _linear,
    aten.batch_norm.default: _batchnorm,
    aten.layer_norm.default: _layernorm,
    **dict.fromkeys(
        (aten.hardtanh.default, aten.hardtanh_.default),
        lambda _, *limits: ("relu6", {}) if limits == (0.0, 6.0) else None,
    ),
    **dict.fromkeys((aten.elu.default, aten.elu_.default), _sloped("elu", 1.0)),
    **dict.fromkeys((aten.leaky_relu.default, aten.leaky_relu_.default), _sloped("leakyrelu", 0.01)),
    aten.softmax.int: lambda _, axis, *__: ("softmax", {}) if axis in (1, -1) else None,
    **{
        operator: _plain(step)
        for step in ("relu", "relu6", "silu", "hardswish", "gelu", "tanh", "sigmoid")
        for name in (step, f"{step}_")
        for operator in ([getattr(aten, name).default] if hasattr(aten, name) else [])
    },
}
"""What an operator is in words, with its tensors."""
