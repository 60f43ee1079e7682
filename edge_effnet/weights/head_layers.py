"""The layers of a head: which modules can be one, in which order they stand, and what `--head` may say of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, NORMS, WITH_TENSORS, head_text, kind_of_step
from edge_effnet.io.text import brief

_NAMES = {
    frozenset({"weight", "bias"}),
    frozenset({"weight"}),
    frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}),
    frozenset({"weight", "bias", "running_mean", "running_var"}),
    frozenset({"running_mean", "running_var", "num_batches_tracked"}),
    frozenset({"running_mean", "running_var"}),
}


_NUMBER = re.compile(r"\d+", re.ASCII)
_SIBLING = re.compile(r"(?:(.*)\.)?(\d{1,6})", re.ASCII)
"""A module by its place in a Sequential or a ModuleList."""

_POOLING = re.compile(r"(?:^|\.)(?:\w*pool\w*|gem\w*)\.")
_JOINED = {2: "average and maximum pooling joined"}
"""By how many times the features a head reads."""

_MOST_PROPOSALS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadLayer:
    """A module of the file that can be a step of a head."""

    module: str
    kind: str
    """A word of `edge_effnet.head.WITH_TENSORS`; GroupNorm and a learned scale have the tensors of `layernorm`."""
    tensors: Mapping[str, torch.Tensor]
    """By their last name."""
    inputs: int
    outputs: int

    def __str__(self) -> str:
        """As messages show it."""
        width = f"{self.inputs} -> {self.outputs}" if self.kind == LINEAR else f"{self.inputs}"
        return f"{brief(self.module)} ({self.kind} {width})"


def head_layers(rest: Mapping[str, torch.Tensor]) -> list[HeadLayer] | None:
    """The modules of some tensors; None where one of them is no layer of a head.

    Those whose names differ in numbers alone come in the order of these, others in the file's.
    """
    modules: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in rest.items():
        module, _, name = key.rpartition(".")
        modules.setdefault(module, {})[name] = tensor
    layers = [_layer(module, tensors) for module, tensors in modules.items()]
    found = [layer for layer in layers if layer is not None]
    return _by_number(found) if len(found) == len(layers) else None


def _by_number(layers: Sequence[HeadLayer]) -> list[HeadLayer]:
    """Put `fc.3` before `fc.12`, which files with sorted names have behind it; other layers keep their places."""
    places: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        places.setdefault(_without_numbers(layer), []).append(index)
    found = list(layers)
    for indices in places.values():
        for index, layer in zip(indices, sorted((layers[index] for index in indices), key=_numbers), strict=True):
            found[index] = layer
    return found


def _without_numbers(layer: HeadLayer) -> str:
    return _NUMBER.sub("#", layer.module)


def _numbers(layer: HeadLayer) -> list[tuple[int, str]]:
    # Of any length, which int() would not read.
    return [(len(number), number) for number in _NUMBER.findall(layer.module)]


def _layer(module: str, tensors: Mapping[str, torch.Tensor]) -> HeadLayer | None:
    if frozenset(tensors) not in _NAMES:
        return None
    weight = tensors.get("weight", tensors.get("running_mean"))
    assert weight is not None
    if weight.ndim == 4 and weight.shape[2:] == (1, 1):
        weight = weight.flatten(1)
        tensors = {**tensors, "weight": weight}
    if weight.ndim == 2 and len(tensors) <= 2:
        return HeadLayer(module=module, kind=LINEAR, tensors=tensors, inputs=weight.shape[1], outputs=weight.shape[0])
    if weight.ndim != 1:
        return None
    width = weight.shape[0]
    kind = "batchnorm" if "running_mean" in tensors else "layernorm"
    if kind == "layernorm" and (width == 1 or "bias" not in tensors):
        return None  # PReLU's slope, a learned scale
    return HeadLayer(module=module, kind=kind, tensors=tensors, inputs=width, outputs=width)


def _next(waiting: Sequence[HeadLayer], width: int, kinds: Iterable[str] = WITH_TENSORS) -> list[HeadLayer]:
    """Which layers can come next: those that read `width` and, but for the last, give what another one reads."""
    fitting = [layer for layer in waiting if layer.inputs == width and layer.kind in kinds]
    leading = [
        layer for layer in fitting if any(other is not layer and other.inputs == layer.outputs for other in waiting)
    ]
    return leading or fitting


def row_of(layers: Sequence[HeadLayer], features: int) -> list[HeadLayer] | None:
    """All the layers, each of which reads what the one before it gives; None where they form no such row."""
    waiting, row, width = list(layers), list[HeadLayer](), features
    while waiting and (fitting := _next(waiting, width)):
        waiting.remove(fitting[0])
        row.append(fitting[0])
        width = fitting[0].outputs
    return None if waiting or LINEAR not in {layer.kind for layer in row} else row


def _places_in_parent(layers: Sequence[HeadLayer]) -> list[int] | None:
    """The layers' numbers where all are in one Sequential or ModuleList; None where they are not."""
    found = [_SIBLING.fullmatch(layer.module) for layer in layers]
    matches = [match for match in found if match is not None]
    one_parent = len(matches) == len(layers) and len({match[1] for match in matches}) == 1
    return [int(match[2]) for match in matches] if one_parent else None


def told_steps(layers: Sequence[HeadLayer], features: int) -> tuple[str, ...] | None:
    """The steps of a head where tensors prove them: BatchNorms and one Linear at their end, side by side.

    A second Linear may follow an activation that a ModuleList's forward pass has in code; None there.
    """
    places = _places_in_parent(layers)
    kinds = tuple(layer.kind for layer in layers)
    proved = kinds == ("batchnorm",) * (len(kinds) - 1) + (LINEAR,)
    if not proved or not places or places != list(range(places[0], places[0] + len(places))):
        return None
    return kinds if row_of(layers, features) == layers else None


def suggested_heads(layers: Sequence[HeadLayer], features: int) -> list[str]:
    """What `--head` might be, for a message, likeliest first; none where the layers form no row.

    An activation follows each Linear but the last: in a gap between the layers' numbers where there is one.
    """
    row = row_of(layers, features) or []
    numbers = _places_in_parent(row)
    linears = [index for index, layer in enumerate(row) if layer.kind == LINEAR]
    choices: list[list[int | None]] = []
    for first, last in pairwise(linears):
        gaps = [index for index in range(first, last) if numbers and numbers[index + 1] - numbers[index] > 1]
        choices.append([*gaps] or [*reversed(range(first, last)), None])
    proposals = []
    for number in range(max(map(len, choices), default=min(len(row), 1))):
        places = {places[min(number, len(places) - 1)] for places in choices}
        steps = [(layer.kind, "relu") if index in places else (layer.kind,) for index, layer in enumerate(row)]
        proposals.append(head_text([word for words in steps for word in words]))
    return proposals[:_MOST_PROPOSALS]


def other_pooling(rest: Mapping[str, torch.Tensor], features: int) -> str | None:
    """Say that a head reads something else than the mean of the features; None where nothing shows that."""
    remedy = "which is not built here; retrain on average pooling, or say --head none for the mean of the features"
    gem = next((key for key, tensor in rest.items() if tensor.numel() == 1 and _POOLING.search(key.lower())), None)
    if gem is not None:
        return f"{brief(gem)} is a number of a pooling that learns (GeM), {remedy}."
    layers = head_layers(rest) or []
    if features < 1 or any(layer.inputs == features for layer in layers):
        return None
    wide = next((layer for layer in layers if layer.inputs > features and layer.inputs % features == 0), None)
    if wide is None:
        return None
    times = wide.inputs // features
    what = _JOINED.get(times, "several poolings, or the features of several pixels")
    return f"{wide} reads {times} x {features}: {what}, {remedy}."


def arranged(
    layers: Sequence[HeadLayer], steps: Sequence[str], features: int, title: str, *, ordered: bool
) -> dict[int, HeadLayer]:
    """Give each step that has tensors the layer of its kind that reads what the one before it gives.

    `ordered` says that the file has its modules' order, which then tells which one of several comes first.

    Raises:
        InputError: more or fewer layers, other widths, or an order that nothing tells.
    """
    waiting, found, width = list(layers), dict[int, HeadLayer](), features
    for index, step in enumerate(steps):
        kind = kind_of_step(step)
        if kind not in WITH_TENSORS:
            continue
        fitting = _next(waiting, width, (kind,))
        if not fitting:
            # Norms of another width belong elsewhere; a Linear has its place in the row.
            got = next((str(layer) for layer in waiting if layer.kind == kind and kind not in NORMS), "no more")
            raise InputError(_misfit(title, steps, layers, f"its {kind} number {index + 1} reads {width}, got {got}"))
        if not ordered and len({_without_numbers(layer) for layer in fitting}) > 1:
            raise InputError(
                f"{title}: the order of {' and '.join(brief(layer.module) for layer in fitting)} in the head is "
                f"unknown: each of them reads {width}, and this file has its names sorted, as safetensors does; save "
                'the module\'s own order: torch.save(model.state_dict(), "weights.pth").'
            )
        waiting.remove(fitting[0])
        found[index], width = fitting[0], fitting[0].outputs
    if waiting:
        raise InputError(_misfit(title, steps, layers, f"{', '.join(map(str, waiting))} would be left out"))
    return found


def _misfit(title: str, steps: Sequence[str], layers: Iterable[HeadLayer], reason: str) -> str:
    there = ", ".join(map(str, layers)) or "none"
    return f"{title}: the head {head_text(steps)!r} does not fit: {reason}; the file has {there}. Correct --head."
