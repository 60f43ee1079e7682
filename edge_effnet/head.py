"""What a network makes of its pooled features: one Linear, a few layers in a row, or nothing; said in words.

`linear-batchnorm-relu-dropout-linear` is a head of two Linears; `none` gives the features themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

LINEAR = "linear"
NONE = "none"

MAKERS: dict[str, Callable[..., nn.Module]] = {
    "linear": nn.Linear,
    "batchnorm": lambda width, eps=1e-5: nn.BatchNorm1d(width, eps=eps),
    "layernorm": lambda width, eps=1e-5: nn.LayerNorm(width, eps=eps),
    "dropout": nn.Dropout,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "hardswish": nn.Hardswish,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "leakyrelu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
"""A head's words; the first three have tensors, and take the width of what they read."""

NORMS = ("batchnorm", "layernorm")
WITH_TENSORS = (LINEAR, *NORMS)

OUTPUTS = ("softmax", "sigmoid")
"""Words that may end a head: what it makes of its logits."""

_WITH_NUMBER = (*NORMS, "dropout", "elu", "leakyrelu")
_STEP = re.compile(r"([a-z0-9]+)(?::([0-9]*\.?[0-9]+))?")
_MOST_STEPS = 32


def parse_head(text: str) -> tuple[tuple[str, ...], str | None]:
    """Read a head's words.

    Args:
        text: steps with `-` between; `none`. A norm's eps, an activation's slope may follow as `batchnorm:0.001`.

    Returns:
        The steps up to the logits, and the word of `OUTPUTS` that may follow these.

    Raises:
        InputError: unknown words, or no Linear.
    """
    steps = tuple(text.strip().lower().split("-"))
    if steps == (NONE,):
        return (), None
    output = steps[-1] if steps[-1] in OUTPUTS else None
    steps = steps[:-1] if output else steps
    for step in steps:
        match = _STEP.fullmatch(step)
        if match is None or match[1] not in MAKERS or (match[2] and match[1] not in _WITH_NUMBER):
            raise InputError(
                f"head {brief(repr(text))}: {brief(repr(step))} is no layer; join {', '.join(MAKERS)} with '-', such "
                f"as linear-relu-linear (softmax or sigmoid may end it), or say {NONE}."
            )
    if LINEAR not in steps or len(steps) > _MOST_STEPS:
        raise InputError(f"head {brief(repr(text))}: need at least one linear, and at most {_MOST_STEPS} layers.")
    return steps, output


def kind_of_step(step: str) -> str:
    """The word of a step without its number."""
    return step.partition(":")[0]


def head_text(steps: Sequence[str]) -> str:
    """Inverse of `parse_head`."""
    return "-".join(steps) or NONE


def make_head(steps: Sequence[str], features: int, widths: Sequence[int]) -> nn.Module:
    """Build a head: [N, features] -> [N, widths[-1]].

    Args:
        steps: from `parse_head`.
        features: what it reads.
        widths: outputs of each Linear, in order.

    Returns:
        One Linear where that is all, else a Sequential, empty without steps.
    """
    if tuple(steps) == (LINEAR,):
        return nn.Linear(features, widths[0])
    layers, width, outputs = nn.Sequential(), features, iter(widths)
    for step in steps:
        kind, _, number = step.partition(":")
        arguments: list[float | int] = [float(number)] if number else []
        if kind == LINEAR:
            wider = next(outputs)
            arguments, width = [width, wider], wider
        elif kind in NORMS:
            arguments = [width, *arguments]
        layers.append(MAKERS[kind](*arguments))
    return layers


def linears_of(head: nn.Module) -> list[nn.Linear]:
    """Its Linears, from features to logits."""
    return [module for module in head.modules() if isinstance(module, nn.Linear)]


def folded_head(head: nn.Module) -> nn.Module:
    """Return a head for inference: Dropout left out, each BatchNorm multiplied into a Linear beside it.

    One that has a Linear neither right before nor right behind it stays. Modules of `head` are not changed.
    """
    if not isinstance(head, nn.Sequential):
        return head
    layers = [module for module in head if not isinstance(module, nn.Dropout)]
    while (place := next(_foldable(layers), None)) is not None:
        norm, linear = layers[place[0]], layers[place[1]]
        assert isinstance(norm, nn.BatchNorm1d)
        assert isinstance(linear, nn.Linear)
        layers[min(place) : max(place) + 1] = [_with_norm(linear, norm, before=place[0] < place[1])]
    return layers[0] if len(layers) == 1 and isinstance(layers[0], nn.Linear) else nn.Sequential(*layers).eval()


def _foldable(layers: Sequence[nn.Module]) -> Iterator[tuple[int, int]]:
    """Yield places of a BatchNorm and the Linear that it goes into: the one before it, else the one behind."""
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.BatchNorm1d):
            beside = (place for place in (index - 1, index + 1) if 0 <= place < len(layers))
            yield from ((index, place) for place in beside if isinstance(layers[place], nn.Linear))


def _with_norm(linear: nn.Linear, norm: nn.BatchNorm1d, *, before: bool) -> nn.Linear:
    """A Linear that does what both do; `before` says that the BatchNorm comes first."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, bias = linear.weight.detach(), linear.bias.detach()
    scale = (norm.running_var + norm.eps).rsqrt() * norm.weight.detach()
    shift = norm.bias.detach() - norm.running_mean * scale
    folded = nn.Linear(linear.in_features, linear.out_features)
    if before:
        folded.weight.data, folded.bias.data = weight * scale, bias + weight @ shift
    else:
        folded.weight.data, folded.bias.data = weight * scale[:, None], bias * scale + shift
    return folded.eval()
