"""Layers whose weight a file holds in parts, as reparametrizations and adapters leave it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

_SAVE = 'torch.save(model.state_dict(), "weights.pth")'

_KINDS = (
    (
        r"parametrizations\.(?P<name>\w+)\.original\d*",
        "a parametrization (torch.nn.utils.parametrize)",
        "torch.nn.utils.parametrize.remove_parametrizations(model.get_submodule({layer!r}), {name!r})",
    ),
    (
        r"(?P<name>\w+)_g",
        "weight_norm",
        "torch.nn.utils.remove_weight_norm(model.get_submodule({layer!r}), {name!r})",
    ),
    (
        r"(?P<name>\w+)_u",
        "spectral_norm",
        "torch.nn.utils.remove_spectral_norm(model.get_submodule({layer!r}), {name!r})",
    ),
    (
        r"(?:lora_(?P<name>\w+)|base_layer|modules_to_save|original_module)(?:\.\w+)*",
        "an adapter (LoRA of peft)",
        "model = model.merge_and_unload()",
    ),
)
"""How the names of such parts end, what made them, and what makes one weight of them again."""


def require_whole(names: Iterable[str], path: Path) -> None:
    """Refuse a layer whose weight is in parts.

    Raises:
        InputError: naming it, with the lines that put it together.
    """
    known = dict.fromkeys(names)
    for pattern, what, remedy in _KINDS:
        ending = re.compile(rf"(?:(?P<layer>.*?)\.)?{pattern}")
        for key in known:
            found = ending.fullmatch(key)
            if found is None or (pattern.endswith(("_g", "_u")) and f"{key[:-2]}_v" not in known):
                continue
            layer, name = brief(found["layer"] or ""), found["name"]
            raise InputError(
                f"{path}: the weight of {layer or 'a layer'} is in parts ({brief(key)}), as {what} leaves it; make "
                f"it one before saving, where the network is: import torch; {remedy.format(layer=layer, name=name)}; "
                f"{_SAVE}."
            )
