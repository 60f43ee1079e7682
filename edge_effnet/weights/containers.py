"""Opening what training scripts wrap around weights: nested dicts, prefixes, EMA copies, class names."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.weights.plain import plain_tensors

# Preferred first: an exponential moving average generalises better than the last step's weights.
EMA_KEYS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "weights")
CLASS_NAME_KEYS = ("class_names", "classes", "class_to_idx")
ARCH_KEYS = ("arch", "architecture")

PREFIXES = ("module.", "_orig_mod.", "model.")
"""Left by DistributedDataParallel, torch.compile and Lightning; possibly one inside the other."""

# torch.optim.swa_utils.AveragedModel counts its steps in a tensor beside the weights.
_COUNTERS = frozenset({"n_averaged"})

_MAX_DEPTH = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What a weight file holds, unwrapped."""

    tensors: dict[str, torch.Tensor]
    """As named in the file, without wrappers' prefixes."""
    class_names: tuple[str, ...] | None
    """In order of the class index."""
    arch: str | None
    """The architecture's name as the file gives it."""
    metadata: Mapping[str, Any]
    """The outermost container without its tensors."""
    notes: tuple[str, ...]
    """Sentences for the user on what was chosen."""


def open_container(loaded: Any, path: Path) -> Contents:
    """Find the state dict in what `read_file` returned.

    Raises:
        InputError: there is none, or one of tensors that are not plain.
    """
    notes: list[str] = []
    outer = loaded if isinstance(loaded, Mapping) else {}
    tensors = _find_tensors(loaded, path, notes)
    return Contents(
        tensors=plain_tensors(_strip_prefixes(tensors), path),
        class_names=_class_names(outer, notes),
        arch=next((outer[key] for key in ARCH_KEYS if isinstance(outer.get(key), str)), None),
        metadata={key: value for key, value in outer.items() if not isinstance(value, torch.Tensor)},
        notes=tuple(notes),
    )


def _find_tensors(loaded: Any, path: Path, notes: list[str], depth: int = 0) -> dict[str, torch.Tensor]:
    if not isinstance(loaded, Mapping):
        raise InputError(
            f"{path}: holds a {type(loaded).__name__}, not a state dict; save torch.save(model.state_dict(), PATH)."
        )
    if depth > _MAX_DEPTH:  # a container can even hold itself
        raise InputError(f"{path}: containers nested more than {_MAX_DEPTH} deep; save the state dict alone.")
    for key in EMA_KEYS + STATE_DICT_KEYS:
        if isinstance(loaded.get(key), Mapping) and loaded[key]:
            if key in EMA_KEYS:
                notes.append(f"The averaged copy of the weights ({key!r}) was taken, not the last step's.")
            return _find_tensors(loaded[key], path, notes, depth + 1)
    tensors = {
        key: value
        for key, value in loaded.items()
        if isinstance(key, str) and isinstance(value, torch.Tensor) and key not in _COUNTERS
    }
    if not tensors:
        keys = ", ".join(brief(repr(key)) for key in list(loaded)[:8]) or "none"
        raise InputError(f"{path}: no weights inside (keys: {keys}); save a state dict, or one under 'state_dict'.")
    return tensors


def _strip_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    while True:
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in tensors)), None)
        if prefix is None:
            return tensors
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}


def _class_names(outer: Mapping[str, Any], notes: list[str]) -> tuple[str, ...] | None:
    for key in CLASS_NAME_KEYS:
        value = outer.get(key)
        if value is None or (isinstance(value, str | list | tuple | Mapping) and not value):
            continue
        names = _ordered_names(_parsed(value))
        if names is not None:
            return names
        notes.append(
            f"The file's {key!r} is neither a list of names nor a mapping between names and the indices "
            "0, 1, 2, ...: ignored."
        )
    return None


def _parsed(value: Any) -> Any:
    """Read JSON where a file can hold only strings, as safetensors' metadata does."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _ordered_names(value: Any) -> tuple[str, ...] | None:
    """Accept a list of names, {name: index} or {index: name}; two classes may share one, as in ImageNet."""
    if isinstance(value, Mapping):
        by_name = all(isinstance(index, int) for index in value.values())
        pairs = [(index, name) for name, index in value.items()] if by_name else list(value.items())
        try:
            by_index = {_index(key): name for key, name in pairs}
        except (TypeError, ValueError, RuntimeError):
            return None
        if sorted(by_index) != list(range(len(value))):
            return None
        value = [by_index[index] for index in range(len(value))]
    if not isinstance(value, list | tuple):
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None


def _index(key: Any) -> int:
    """Read a class index, which JSON can hold as a string only."""
    return int(key) if isinstance(key, str) else operator.index(key)
