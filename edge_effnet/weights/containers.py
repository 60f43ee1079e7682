"""Opening what training scripts wrap around weights: nested dicts, EMA copies, modules saved apart, odd tensors."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief, listed_names
from edge_effnet.weights.described import Described, describe, is_statistic
from edge_effnet.weights.inert import Array
from edge_effnet.weights.partial import require_elements
from edge_effnet.weights.placement import prefixes_of

# Preferred first: an exponential moving average generalises better than the last step's weights.
EMA_KEYS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "ema_model", "model_state_dict_ema"),
    *("ema_model_state_dict", "swa_model", "swa_state_dict", "averaged_model"),
)
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "weights")

_COUNTER = "n_averaged"
"""torch.optim.swa_utils.AveragedModel counts its steps in a tensor beside the weights."""

# What a training run needs to be resumed, and no network to compute.
_OF_TRAINING = re.compile(
    r"optim|opt$|opt_|\w*optimizer|sched|\w*scheduler|scaler|\w*_scaler|criteri|loss|callbacks|loops|rng"
)

_STATISTICS = re.compile(r"(?:^|\.)(?:running_mean|running_var|num_batches_tracked)$")
"""What a BatchNorm keeps in buffers: no parameters, and so in no average of these."""

_MAX_DEPTH = 8
_MOST_ITEMS = 100
"""Of a list that are searched for a state dict."""
_MAX_NODES = 100_000
"""Containers and tensors that are looked at; a dict of dicts of itself has no end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """What a module in memory shows of itself, and a file's tensors do not."""

    padding: str
    """One of `edge_effnet.padding.PADDINGS`."""
    bn_eps: float
    """Added to BatchNorm's variance."""
    activation: str
    """A key of `edge_effnet.activations.ACTIVATIONS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What a weight file, or a module in memory, holds, unwrapped."""

    tensors: dict[str, torch.Tensor]
    """The state dict, as named in the file."""
    others: dict[str, torch.Tensor]
    """Of modules that the file holds beside it: `classifier.weight` of a dict under `classifier`."""
    described: Described
    """What else the file says about its network."""
    metadata: Mapping[str, Any]
    """The outermost container without its tensors."""
    notes: tuple[str, ...]
    """Sentences for the user on what was chosen."""
    copies: bool = False
    """Whether averaged weights and those of the last step lie side by side."""
    built: Built | None = None
    """Of a module alone."""


def open_container(loaded: Any, path: Path, *, ema: bool = True) -> Contents:
    """Find the state dict in what `read_file` returned; `ema` prefers an averaged copy to the last step's weights.

    Raises:
        InputError: there is none, or one of tensors that are not plain; or only an averaged one, and `ema` is False.
    """
    notes: list[str] = []
    others: dict[str, torch.Tensor] = {}
    tensors = _find_tensors(loaded, path, notes, others, ema)
    outer = loaded if isinstance(loaded, Mapping) else {}
    described = describe(outer)
    plain = plain_tensors(tensors, path)
    require_elements(plain, path)
    return Contents(
        tensors=_unwrapped(plain, notes),
        others=_unwrapped(plain_tensors(others, path), notes),
        described=described,
        metadata={key: value for key, value in outer.items() if not isinstance(value, torch.Tensor)},
        notes=(*notes, *described.notes),
        copies=all(any(_usable(key, outer.get(key)) for key in keys) for keys in (EMA_KEYS, STATE_DICT_KEYS)),
    )


def _find_tensors(
    loaded: Any, path: Path, notes: list[str], others: dict[str, torch.Tensor], ema: bool, depth: int = 0
) -> dict[str, torch.Tensor]:
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path}: holds a {type(loaded).__name__}, not a state dict; {_taken_out(loaded)}")
    if depth > _MAX_DEPTH:  # a container can even hold itself
        raise InputError(f"{path}: containers nested more than {_MAX_DEPTH} deep; save the state dict alone.")
    known = EMA_KEYS + STATE_DICT_KEYS if ema else STATE_DICT_KEYS + EMA_KEYS
    chosen = next((key for key in known if _usable(key, loaded.get(key))), None)
    if chosen is not None:
        if chosen in EMA_KEYS and not ema:
            raise InputError(f"{path}: holds averaged weights ({chosen!r}) and no others; leave out --no-ema.")
        if chosen in EMA_KEYS:
            notes.append(f"The averaged copy of the weights ({chosen!r}) was taken, not the last step's.")
        passed = [key for key in known[: known.index(chosen)] if ema and _holds(loaded.get(key))]
        if passed:
            notes.append(f"No network is in {listed_names(map(repr, passed))}, so {chosen!r} was taken.")
        copies = known if chosen in EMA_KEYS else (chosen, *EMA_KEYS)
        others |= _modules_of({key: value for key, value in loaded.items() if key not in copies}, notes)
        found = _find_tensors(loaded[chosen], path, notes, others, ema, depth + 1)
        last = next((key for key in STATE_DICT_KEYS if _holds(loaded.get(key))), None)
        if chosen in EMA_KEYS and last is not None:
            _add_statistics(found, dict(_tensors_in(loaded[last], "", budget=[_MAX_NODES])), last, notes)
        return found
    _require_readable(loaded, path)
    tensors = {
        key: value
        for key, value in loaded.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor) and key != _COUNTER
    }
    if modules := _modules_of(loaded, notes):
        # Beside whole modules a number is a measurement, not a weight.
        tensors = {key: tensor for key, tensor in tensors.items() if tensor.numel() != 1} | modules
    if not tensors:
        keys = ", ".join(brief(repr(key)) for key in list(loaded)[:8]) or "none"
        raise InputError(f"{path}: no weights inside (keys: {keys}); save a state dict, or one under 'state_dict'.")
    return tensors


def _taken_out(loaded: Any) -> str:
    """How to make a state dict of what is none: of the pairs or of the one dict that a list or a tuple has."""
    items = list(loaded[:_MAX_NODES]) if isinstance(loaded, list | tuple) else []
    held = [index for index, item in enumerate(items[:_MOST_ITEMS]) if _holds(item)]
    networks = [index for index in held if prefixes_of(name for name, _ in _of(items[index]))]
    expression = next((f"loaded[{index}]" for index in (*networks, *held)), None)
    if items and all(_is_pair(item) for item in items):
        expression = "dict(loaded)"
    if expression is None:
        return "save torch.save(model.state_dict(), PATH)."
    return (
        f'save {expression} alone: import torch; loaded = torch.load(PATH); torch.save({expression}, "weights.pth").'
    )


def _is_pair(item: Any) -> bool:
    """Whether it is one of `state_dict.items()`."""
    pair = isinstance(item, list | tuple) and len(item) == 2
    return pair and isinstance(item[0], str) and isinstance(item[1], torch.Tensor)


def _of(container: Any) -> Iterator[tuple[str, torch.Tensor]]:
    return _tensors_in(container, "", budget=[_MAX_NODES])


def _require_readable(loaded: Mapping[Any, Any], path: Path) -> None:
    """Refuse layers whose weights are in the file and in no tensor.

    Raises:
        InputError: a state dict of arrays, or of quantized layers.
    """
    packed = [key for key in loaded if isinstance(key, str) and "._packed_params" in key]
    if packed:
        raise InputError(
            f"{path}: {brief(packed[0].partition('._packed_params')[0])} is a quantized layer; float weights are "
            "needed: save the state dict of the network before it was quantized."
        )
    if sum(isinstance(value, Array) for value in loaded.values()) > len(loaded) / 2:
        raise InputError(
            f"{path}: a state dict of numpy arrays; make it one of tensors: import torch; arrays = torch.load(PATH, "
            'weights_only=False); torch.save({k: torch.from_numpy(v) for k, v in arrays.items()}, "weights.pth").'
        )


def _modules_of(loaded: Mapping[Any, Any], notes: list[str]) -> dict[str, torch.Tensor]:
    """Return the tensors of modules under keys of their own, as `key.name`; what is none is named in `notes`."""
    modules: dict[str, torch.Tensor] = {}
    left = []
    for key, value in loaded.items():
        if not isinstance(key, str) or isinstance(value, torch.Tensor):
            continue
        tensors = dict(_tensors_in(value, f"{key}.", budget=[_MAX_NODES]))
        if any(name.endswith("weight") for name in tensors) and not _OF_TRAINING.match(key.lower()):
            modules |= {name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] != _COUNTER}
        elif any(tensor.numel() > 1 and not is_statistic(name) for name, tensor in tensors.items()):
            left.append(key)
    if left:
        notes.append(f"Left out, as no part of the network: {listed_names(left)}.")
    return modules


def _holds(container: Any) -> bool:
    """Whether it is a mapping with tensors, or so many containers that the end was not reached."""
    budget = [_MAX_NODES]
    found = isinstance(container, Mapping) and next(_tensors_in(container, "", budget=budget), None) is not None
    return found or budget[0] < 0


def _usable(key: str, container: Any) -> bool:
    """Whether a container has weights to load; averaged ones may be a list without names, or of another network."""
    if not _holds(container) or key not in EMA_KEYS:
        return _holds(container)
    budget = [_MAX_NODES]
    names = [name for name, _ in _tensors_in(container, "", budget=budget)]
    return bool(prefixes_of(names)) or budget[0] < 0


def _add_statistics(
    averaged: dict[str, torch.Tensor], last: Mapping[str, torch.Tensor], key: str, notes: list[str]
) -> None:
    """Complete averaged parameters, of which some keep no more, by the buffers of the last step."""
    theirs, ours = prefixes_of(last), prefixes_of(averaged)
    if len(theirs) != 1 or len(ours) != 1:
        return
    named = {ours[0] + name.removeprefix(theirs[0]): tensor for name, tensor in last.items()}
    lacking = {name: tensor for name, tensor in named.items() if name not in averaged}
    if lacking and averaged.keys() <= named.keys() and all(map(_STATISTICS.search, lacking)):
        averaged |= lacking
        notes.append(f"The averaged copy has no statistics of BatchNorm, so those of {key!r} were taken.")


def _tensors_in(value: Any, prefix: str, *, budget: list[int], depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors in nested containers by their dotted names, as far as `budget` and `_MAX_DEPTH` reach."""
    if depth > _MAX_DEPTH:
        budget[0] = -1
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, inner in items:
        if isinstance(inner, torch.Tensor):
            yield f"{prefix}{key}", inner
        elif isinstance(inner, Mapping | list | tuple):
            budget[0] -= 1
            if budget[0] < 0:
                return
            yield from _tensors_in(inner, f"{prefix}{key}.", budget=budget, depth=depth + 1)


_WRAPPER = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module|_forward_module)\.")
"""Left in the middle of names by torch.compile, activation checkpointing, FSDP and Lightning's Fabric."""


def _unwrapped(tensors: Mapping[str, torch.Tensor], notes: list[str]) -> dict[str, torch.Tensor]:
    """Return a state dict without wrappers in its names and with pruned weights as they are used."""
    # What all names have in common is a prefix like any other, and told as such.
    shared = os.path.commonprefix(list(tensors)).rpartition(".")[0]  # noqa: RUF071
    names = {key: key[: len(shared)] + _WRAPPER.sub("", key[len(shared) :]) for key in tensors}
    if len(set(names.values())) < len(names):  # a wrapped copy beside an unwrapped one
        names = {key: key for key in tensors}
    plain = {names[key]: tensor for key, tensor in tensors.items()}
    # torch.nn.utils.prune has a weight in two parts, whose product the layer uses.
    weight, mask = "_orig", "_mask"
    pruned = [name.removesuffix(mask) for name in plain if name.endswith(mask)]
    pruned = [n for n in pruned if n + weight in plain and plain[n + weight].shape == plain[n + mask].shape]
    for name in pruned:
        plain[name] = plain.pop(name + weight) * plain.pop(name + mask)
    if pruned:
        notes.append(f"Pruned weights were multiplied by their masks ({len(pruned)} layers).")
    return plain


def plain_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors without anything that a file can hang onto them: classes, attributes, gradients.

    A tensor may tell any shape above a single number in memory, or above memory that nothing filled: a copy of it
    would be as large as it says.

    Raises:
        InputError: one that is not dense on the CPU, or larger than what the file has for it.
    """
    size = path.stat().st_size
    plain = {}
    for name, found in tensors.items():
        # A subclass may do as it likes even here; what is detached has neither its class nor its attributes.
        known = type(found) in (torch.Tensor, torch.nn.Parameter)
        tensor = torch.Tensor.detach(found) if known else found
        dense = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_nested
        if not known or tensor.device.type != "cpu" or not dense:
            raise InputError(
                f"{path}: {brief(name)} is {tensor.layout} of {tensor.dtype} ({type(found).__name__} on "
                f"{tensor.device.type}); dense weights in plain tensors are needed, not quantized, sparse or "
                "meta ones."
            )
        stored = tensor.untyped_storage().nbytes()
        if not tensor.numel() * tensor.element_size() <= stored <= size:
            raise InputError(
                f"{path}: {brief(name)} has the shape {brief(list(tensor.shape))} and {stored} bytes behind it, in a "
                f"file of {size}; a damaged file, or a view that is to be made contiguous before it is saved."
            )
        plain[name] = tensor
    return plain
