"""An exported head as a row of layers that `edge_effnet.head` has words for, where it is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from edge_effnet.head import LINEAR, NORMS, OUTPUTS, kind_of_step, make_head

aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldHead:
    """A head in words."""

    steps: tuple[str, ...]
    """Up to the logits."""
    layers: nn.Module
    """[N, features] -> logits."""
    output: str | None
    """The word of `OUTPUTS` behind them."""


def told_head(head: fx.GraphModule, features: int) -> ToldHead | None:
    """Read a head as a row of layers.

    Args:
        head: of `carried_head`.
        features: what it reads.

    Returns:
        None where operators do not follow each other one by one, or one of them has no word.
    """
    steps: list[str] = []
    tensors: list[Mapping[str, torch.Tensor]] = []
    (last,) = (node for node in head.graph.nodes if node.op == "placeholder")
    for node in head.graph.nodes:
        if node.op != "call_function" or node.target is aten.sym_size.int:
            continue
        if last not in node.args[:1] or [*last.users] != [node] or node.target not in _RULES:
            return None
        found = _RULES[node.target](head, node)
        if found is None:
            return None
        step, given = found
        last = node
        steps.append(step)
        tensors.append(given)
    output = steps.pop() if steps and steps[-1] in OUTPUTS and LINEAR in steps else None
    if LINEAR not in steps or "softmax" in steps:
        return None
    return ToldHead(steps=tuple(steps), layers=_filled(steps, tensors, features), output=output)


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


def _tensors(head: fx.GraphModule, **nodes: Any) -> dict[str, torch.Tensor]:
    """Values of the constants that an operator reads, where it has them."""
    given = {name: node for name, node in nodes.items() if isinstance(node, fx.Node)}
    return {name: _constant(head, node).detach().clone() for name, node in given.items()}


def _constant(head: fx.GraphModule, node: fx.Node) -> torch.Tensor:
    value: Any = head
    for part in str(node.target).split("."):
        value = getattr(value, part)
    return value  # type: ignore[no-any-return]


def _arguments(node: fx.Node) -> list[Any]:
    """All but what it works on."""
    return list(node.args[1:])


def _numbered(step: str, number: float) -> str:
    """A step with its number as `edge_effnet.head.parse_head` reads it."""
    return f"{step}:{number:.10f}".rstrip("0").rstrip(".")


def _linear(head: fx.GraphModule, node: fx.Node) -> _Found:
    weight, *bias = _arguments(node)
    return LINEAR, _tensors(head, weight=weight, bias=bias[0] if bias else None)


def _batchnorm(head: fx.GraphModule, node: fx.Node) -> _Found:
    weight, bias, mean, variance, training, _, eps, *_ = _arguments(node)
    found = _tensors(head, weight=weight, bias=bias, running_mean=mean, running_var=variance)
    return None if training else (_numbered("batchnorm", eps), found)


def _layernorm(head: fx.GraphModule, node: fx.Node) -> _Found:
    shape, *rest = _arguments(node)
    weight, bias, eps = (*rest, *(None, None, 1e-5)[len(rest) :])[:3]
    found = _tensors(head, weight=weight, bias=bias)
    return (_numbered("layernorm", eps), found) if isinstance(shape, list | tuple) and len(shape) == 1 else None


def _hardtanh(_head: fx.GraphModule, node: fx.Node) -> _Found:
    return ("relu6", {}) if _arguments(node) == [0.0, 6.0] else None


def _plain(step: str) -> Callable[[fx.GraphModule, fx.Node], _Found]:
    """An operator without arguments beside its input."""
    return lambda _, node: (step, {}) if len(node.args) == 1 and not node.kwargs else None


def _sloped(step: str, default: float) -> Callable[[fx.GraphModule, fx.Node], _Found]:
    def rule(_head: fx.GraphModule, node: fx.Node) -> _Found:
        (slope, *others) = _arguments(node) or [default]
        return None if others else (_numbered(step, slope), {})

    return rule


def _softmax(_head: fx.GraphModule, node: fx.Node) -> _Found:
    return ("softmax", {}) if node.args[1] in (1, -1) else None


_RULES: dict[Any, Callable[[fx.GraphModule, fx.Node], _Found]] = {
    aten.linear.default: _linear,
    aten.batch_norm.default: _batchnorm,
    aten.layer_norm.default: _layernorm,
    aten.hardtanh.default: _hardtanh,
    aten.hardtanh_.default: _hardtanh,
    aten.elu.default: _sloped("elu", 1.0),
    aten.elu_.default: _sloped("elu", 1.0),
    aten.leaky_relu.default: _sloped("leakyrelu", 0.01),
    aten.leaky_relu_.default: _sloped("leakyrelu", 0.01),
    aten.softmax.int: _softmax,
    **{
        operator: _plain(step)
        for step in ("relu", "relu6", "silu", "hardswish", "gelu", "tanh", "sigmoid")
        for name in (step, f"{step}_")
        for operator in ([getattr(aten, name).default] if hasattr(aten, name) else [])
    },
}
"""What an operator is in words, with its tensors."""
