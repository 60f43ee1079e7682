"""Opening what training scripts wrap around weights: nested dicts, prefixes, EMA copies, class names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError

# Preferred first: an exponential moving average generalises better than the last step's weights.
EMA_KEYS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "weights")
CLASS_NAME_KEYS = ("class_names", "classes", "class_to_idx")
ARCH_KEYS = ("arch", "architecture")

PREFIXES = ("module.", "_orig_mod.", "model.")
"""Left by DistributedDataParallel, torch.compile and Lightning; possibly one inside the other."""

# torch.optim.swa_utils.AveragedModel counts its steps in a tensor beside the weights.
_COUNTERS = frozenset({"n_averaged"})


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
        InputError: there is none, or class names that are no names.
    """
    notes: list[str] = []
    outer = loaded if isinstance(loaded, Mapping) else {}
    tensors = _find_tensors(loaded, path, notes)
    return Contents(
        tensors=_strip_prefixes(tensors),
        class_names=_class_names(outer, path),
        arch=next((outer[key] for key in ARCH_KEYS if isinstance(outer.get(key), str)), None),
        metadata={key: value for key, value in outer.items() if not isinstance(value, torch.Tensor)},
        notes=tuple(notes),
    )


def _find_tensors(loaded: Any, path: Path, notes: list[str]) -> dict[str, torch.Tensor]:
    if not isinstance(loaded, Mapping):
        raise InputError(
            f"{path}: holds a {type(loaded).__name__}, not a state dict; save "
            "torch.save(model.state_dict(), PATH)."
        )
    for key in EMA_KEYS + STATE_DICT_KEYS:
        if isinstance(loaded.get(key), Mapping) and loaded[key]:
            if key in EMA_KEYS:
                notes.append(f"The averaged copy of the weights ({key!r}) was taken, not the last step's.")
            return _find_tensors(loaded[key], path, notes)
    tensors = {
        key: value
        for key, value in loaded.items()
        if isinstance(value, torch.Tensor) and key not in _COUNTERS
    }
    if not tensors:
        keys = ", ".join(repr(key) for key in list(loaded)[:8]) or "none"
        raise InputError(
            f"{path}: no weights inside (keys: {keys}); save a state dict, or one under 'state_dict'."
        )
    return tensors


def _strip_prefixes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    while True:
        prefix = next((p for p in PREFIXES if all(key.startswith(p) for key in tensors)), None)
        if prefix is None:
            return tensors
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}


def _class_names(outer: Mapping[str, Any], path: Path) -> tuple[str, ...] | None:
    key = next((key for key in CLASS_NAME_KEYS if outer.get(key)), None)
    if key is None:
        return None
    value = outer[key]
    if isinstance(value, str):  # safetensors metadata holds strings only
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: the metadata {key!r} is not JSON ({error}).") from error
    names = _ordered_names(value)
    if names is None or len(set(names)) != len(names):
        raise InputError(
            f"{path}: {key!r} is neither a list of distinct names nor a mapping between names and indices "
            "0, 1, 2, ..."
        )
    return names


def _ordered_names(value: Any) -> tuple[str, ...] | None:
    """Accept a list of names, {name: index} or {index: name}."""
    if isinstance(value, Mapping):
        flipped = all(isinstance(index, int) for index in value.values())
        try:
            by_index = (
                {int(i): n for n, i in value.items()} if flipped else {int(i): n for i, n in value.items()}
            )
        except (TypeError, ValueError):
            return None
        if sorted(by_index) != list(range(len(value))):
            return None
        value = [by_index[index] for index in range(len(value))]
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None
