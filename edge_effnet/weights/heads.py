"""Finding the head among the tensors around a network: one Linear under any name, or a few layers in a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, head_text
from edge_effnet.io.text import brief, listed_names
from edge_effnet.weights.head_layers import HeadLayer, arranged, head_layers, other_pooling, row_of, told_steps

_LINEAR_NAMES = frozenset(
    {"classifier", "fc", "_fc", "head", "last_linear", "linear", "logits", "cls", "out", "0", "1"}
)
"""Of modules that multiply by a matrix and add nothing: others without a bias can be cosine heads."""
_WITHOUT_BIAS = (
    "The classifier {} has no bias and was read as a Linear; cosine and ArcFace heads have the same tensors and put "
    "out something else."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundHead:
    """What of the tensors around a network is its head."""

    steps: tuple[str, ...] | None
    """None where there is none, or none that is told."""
    widths: tuple[int, ...]
    """Outputs of its Linears."""
    tensors: dict[str, torch.Tensor]
    """By our names below `classifier.`."""
    used: frozenset[str]
    """The file's names of what is the head, or was asked to go."""
    notes: tuple[str, ...]
    """Sentences for the user."""
    unproven: tuple[str, ...] = ()
    """Those of `notes` on what tensors leave open, so that outputs may be others than in training."""


_UNTOLD = FoundHead(steps=None, widths=(), tensors={}, used=frozenset(), notes=())


def find_head(
    rest: Mapping[str, torch.Tensor],
    own: str,
    features: int,
    steps: tuple[str, ...] | None,
    title: str,
    *,
    ordered: bool,
) -> FoundHead:
    """Find the head, which reads so many features, among the tensors around a network (`rest`, by the file's names).

    `own` is the layout's name of the classifier's weight in this file; `steps` are those of the head, where known;
    `ordered` says that names come in the module's order.

    Raises:
        InputError: a head of other steps.
    """
    if steps == ():
        gone = (f"The head was left out, as asked for: {listed_names(rest)}.",) if rest else ()
        return FoundHead(steps=(), widths=(), tensors={}, used=frozenset(rest), notes=gone)
    pooling, layers = other_pooling(rest, features), head_layers(rest)
    if steps is None:
        if pooling is not None:
            return _UNTOLD
        several = layers is not None and len(layers) > 1 and row_of(layers, features) is not None
        single = None if several else _single(rest, own, features)
        if single is not None:
            return _one_linear(single, rest, own, told=False)
        steps = told_steps(layers, features) if layers else None
        if steps is None:
            return _UNTOLD
    elif pooling is not None:
        raise InputError(f"{title}: {pooling}")
    elif steps == (LINEAR,) and (single := _single(rest, own, features)) is not None:
        return _one_linear(single, rest, own, told=True)
    if layers is None:
        raise InputError(
            f"{title}: {listed_names(rest)} are no head {head_text(steps)!r}; leave out what is no layer."
        )
    return _several(layers, steps, features, title, ordered=ordered)


def _single(rest: Mapping[str, torch.Tensor], own: str, features: int) -> str | None:
    """Find the module that is the classifier: the layout's own name, or the only Linear of that many features."""
    linears = [key for key, tensor in rest.items() if key.endswith("weight") and _takes(tensor, features)]
    if own in rest and (own in linears or not linears):
        module = own.removesuffix(".weight")
    elif len(linears) == 1:
        module = linears[0].removesuffix(".weight")
        if f"{module}.bias" not in rest and module.rpartition(".")[2] not in _LINEAR_NAMES:
            return None
    else:
        return None
    return None if _is_one_of_several(module, rest) else module


def _is_one_of_several(head: str, rest: Iterable[str]) -> bool:
    """Whether a Linear is a step of a Sequential that has others: `classifier.1` of `classifier.1` and `.4`."""
    parent, _, last = head.rpartition(".")
    others = set(rest) - {f"{head}.weight", f"{head}.bias"}
    return bool(parent) and last.isdigit() and any(key.startswith(f"{parent}.") for key in others)


def _takes(tensor: torch.Tensor, features: int) -> bool:
    """Whether this is the matrix of a Linear, or of a convolution of one pixel, which is the same after pooling."""
    shape = list(tensor.shape)
    return shape[1:2] == [features] and (len(shape) == 2 or shape[2:] == [1, 1])


def _one_linear(module: str, rest: Mapping[str, torch.Tensor], own: str, *, told: bool) -> FoundHead:
    names = f"{module}.weight", f"{module}.bias"
    weight, bias = (rest.get(name) for name in names)
    assert weight is not None
    weight = weight.flatten(1) if weight.ndim == 4 else weight
    taken = (f"The Linear {brief(repr(module))} was taken as the classifier.",) if names[0] != own else ()
    unproven = () if bias is not None or told else (_WITHOUT_BIAS.format(brief(repr(module))),)
    bias = torch.zeros(weight.shape[:1]) if bias is None else bias
    return FoundHead(
        steps=(LINEAR,),
        widths=tuple(weight.shape[:1]),
        tensors={"weight": weight, "bias": bias},
        used=frozenset(names),
        notes=(*taken, *unproven),
        unproven=unproven,
    )


def _several(
    layers: Sequence[HeadLayer], steps: tuple[str, ...], features: int, title: str, *, ordered: bool
) -> FoundHead:
    found = arranged(layers, steps, features, title, ordered=ordered)
    alone = steps == (LINEAR,)
    return FoundHead(
        steps=steps,
        widths=tuple(layer.outputs for layer in found.values() if layer.kind == LINEAR),
        tensors={
            name if alone else f"{index}.{name}": tensor
            for index, layer in found.items()
            for name, tensor in _completed(layer).items()
        },
        used=frozenset(f"{layer.module}.{name}".lstrip(".") for layer in layers for name in layer.tensors),
        notes=(f"The head is {head_text(steps)}: {', '.join(map(str, found.values()))}.",),
    )


def _completed(layer: HeadLayer) -> dict[str, torch.Tensor]:
    """All tensors that the step has, with those that a layer without bias or affine lacks."""
    return {"weight": torch.ones(layer.outputs), "bias": torch.zeros(layer.outputs), **layer.tensors}
