"""Finding the head among the tensors around a network: one Linear under any name, or a few layers in a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, NORMS, WITH_TENSORS, head_text, kind_of_step
from edge_effnet.io.text import brief, listed_names

_LINEAR_NAMES = frozenset(
    {"classifier", "fc", "_fc", "head", "last_linear", "linear", "logits", "cls", "out", "0", "1"}
)
"""Of modules that multiply by a matrix and add nothing: others without a bias can be cosine heads."""

_NAMES = {
    frozenset({"weight", "bias"}),
    frozenset({"weight"}),
    frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}),
    frozenset({"weight", "bias", "running_mean", "running_var"}),
    frozenset({"running_mean", "running_var", "num_batches_tracked"}),
    frozenset({"running_mean", "running_var"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadLayer:
    """A module of the file that can be a step of a head."""

    module: str
    kind: str
    """A word of `edge_effnet.head.WITH_TENSORS`."""
    tensors: Mapping[str, torch.Tensor]
    """By their last name."""
    inputs: int
    outputs: int

    def __str__(self) -> str:
        """As messages show it."""
        width = f"{self.inputs} -> {self.outputs}" if self.kind == LINEAR else f"{self.inputs}"
        return f"{brief(self.module)} ({self.kind} {width})"


def head_layers(rest: Mapping[str, torch.Tensor]) -> list[HeadLayer] | None:
    """The modules of some tensors in the file's order; None where one of them is no layer of a head."""
    modules: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in rest.items():
        module, _, name = key.rpartition(".")
        modules.setdefault(module, {})[name] = tensor
    layers = [_layer(module, tensors) for module, tensors in modules.items()]
    found = [layer for layer in layers if layer is not None]
    return found if len(found) == len(layers) else None


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


def find_head(
    rest: Mapping[str, torch.Tensor], own: str, features: int, steps: tuple[str, ...] | None, title: str
) -> FoundHead:
    """Find the head, which reads so many features, among the tensors around a network (`rest`, by the file's names).

    `own` is the layout's name of the classifier's weight in this file; `steps` are those of the head, where known.

    Raises:
        InputError: a head of other steps.
    """
    if steps == ():
        gone = (f"The head was left out, as asked for: {listed_names(rest)}.",) if rest else ()
        return FoundHead(steps=(), widths=(), tensors={}, used=frozenset(rest), notes=gone)
    single = _single(rest, own, features)
    if single is not None and steps in (None, (LINEAR,)):
        return _one_linear(single, rest, own)
    layers = head_layers(rest)
    if steps is None:
        steps = _told_steps(layers, features) if layers else None
        if steps is None:
            return FoundHead(steps=None, widths=(), tensors={}, used=frozenset(), notes=())
    if layers is None:
        raise InputError(
            f"{title}: {listed_names(rest)} are no head {head_text(steps)!r}; leave out what is no layer."
        )
    return _several(layers, steps, features, title)


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


def _one_linear(module: str, rest: Mapping[str, torch.Tensor], own: str) -> FoundHead:
    names = f"{module}.weight", f"{module}.bias"
    weight, bias = (rest.get(name) for name in names)
    assert weight is not None
    weight = weight.flatten(1) if weight.ndim == 4 else weight
    notes = []
    if names[0] != own or bias is None:
        without = "" if bias is not None else "; it has no bias"
        notes.append(f"The Linear {brief(repr(module))} was taken as the classifier{without}.")
    bias = torch.zeros(weight.shape[:1]) if bias is None else bias
    return FoundHead(
        steps=(LINEAR,),
        widths=tuple(weight.shape[:1]),
        tensors={"weight": weight, "bias": bias},
        used=frozenset(names),
        notes=tuple(notes),
    )


def _several(layers: Sequence[HeadLayer], steps: tuple[str, ...], features: int, title: str) -> FoundHead:
    found = _arranged(layers, steps, features, title)
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


def _told_steps(layers: Sequence[HeadLayer], features: int) -> tuple[str, ...] | None:
    """The steps of a head where tensors tell them: in one Sequential, side by side; None where they do not."""
    places = [layer.module.rpartition(".") for layer in layers]
    if len({parent for parent, _, _ in places}) != 1 or not all(name.isdigit() for _, _, name in places):
        return None
    numbers = [int(name) for _, _, name in places]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or not _is_row(layers, features):
        return None
    return tuple(layer.kind for layer in layers)


def suggested_head(layers: Sequence[HeadLayer], features: int) -> str | None:
    """What `--head` might be, for a message; None where the layers fit no row."""
    if not _is_row(layers, features):
        return None
    steps: list[str] = []
    for layer in layers:
        steps += ["relu", LINEAR] if layer.kind == LINEAR and LINEAR in steps else [layer.kind]
    return head_text(steps)


def _is_row(layers: Sequence[HeadLayer], features: int) -> bool:
    """Whether each reads what the one before it gives, and the last is a Linear."""
    widths = [features, *(layer.outputs for layer in layers)]
    fitting = all(layer.inputs == width for layer, width in zip(layers, widths, strict=False))
    return fitting and bool(layers) and layers[-1].kind == LINEAR


def _arranged(layers: Sequence[HeadLayer], steps: Sequence[str], features: int, title: str) -> dict[int, HeadLayer]:
    """Give each step that has tensors the next layer of its kind; refuse more or fewer layers, or other widths."""
    waiting = {kind: [layer for layer in layers if layer.kind == kind] for kind in WITH_TENSORS}
    found: dict[int, HeadLayer] = {}
    width = features
    for index, step in enumerate(steps):
        kind = kind_of_step(step)
        if kind not in waiting:
            continue
        # Norms of another width belong elsewhere; a Linear has its place in the row.
        fitting = [layer for layer in waiting[kind] if layer.inputs == width or kind not in NORMS]
        layer = fitting[0] if fitting else None
        if layer is None or layer.inputs != width:
            got = "no more" if layer is None else str(layer)
            raise InputError(_misfit(title, steps, layers, f"its {kind} number {index + 1} reads {width}, got {got}"))
        waiting[kind].remove(layer)
        found[index], width = layer, layer.outputs
    left = [layer for kind in waiting.values() for layer in kind]
    if left:
        raise InputError(_misfit(title, steps, layers, f"{', '.join(map(str, left))} would be left out"))
    return found


def _misfit(title: str, steps: Sequence[str], layers: Iterable[HeadLayer], reason: str) -> str:
    there = ", ".join(map(str, layers)) or "none"
    return f"{title}: the head {head_text(steps)!r} does not fit: {reason}; the file has {there}. Correct --head."
