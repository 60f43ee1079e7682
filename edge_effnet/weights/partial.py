"""Files that hold a network in part: refused, with the lines that make a whole one where they can."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.weights.formats import SAVE
from edge_effnet.weights.layouts import LAYOUTS, SPATIAL

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
"""How names of a weight in parts end, what left it so, and what makes one of them again."""


def require_whole(names: Iterable[str], path: Path) -> None:
    """Refuse a layer whose weight is in parts, as reparametrizations and adapters leave it.

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
                f"{SAVE}."
            )


def require_last_convolution(keys: Iterable[str], path: Path) -> None:
    """Refuse a network that has a first convolution and blocks as one of the layouts, and no last convolution.

    Raises:
        InputError: naming what is missing.
    """
    present = set(keys)
    for layout in LAYOUTS.values():
        stem = f"{layout.ends['stem.conv']}.weight"
        block = layout.block.format(stage=0, stage_from_1=1, repeat=0, index=0)
        firsts = {f"{block}.{names[SPATIAL[kind]]}.weight" for kind, names in layout.kinds.items()}
        for key in sorted(present):
            prefix = key.removesuffix(stem)
            if not key.endswith(stem) or (prefix and not prefix.endswith(".")):
                continue
            if any(prefix + first in present for first in firsts):
                last = layout.ends["head.conv"]
                # torchvision's V2-S: its first blocks are fused, without squeeze-excite, and it has six stages.
                gated = f"{prefix}{block}.1.fc1.weight" in present
                seventh = any(key.startswith(f"{prefix}features.7.0.block.") for key in present)
                if layout.name == "torchvision" and not (gated or seventh):
                    last = LAYOUTS["torchvision-of-6-stages"].ends["head.conv"]
                raise InputError(
                    f"{path}: its last convolution ({brief(prefix + last)}) is missing, as in "
                    "networks that give the features of each stage (features_only=True of timm, the backbones of "
                    "detectors); save the state dict of a network that was made for classification or embeddings."
                )


def require_elements(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse tensors whose elements are in other files.

    Raises:
        InputError: many of them have none.
    """
    empty = sum(tensor.numel() == 0 for tensor in tensors.values())
    if empty > len(tensors) / 4:
        raise InputError(
            f"{path}: {empty} of its {len(tensors)} tensors have no elements, as in DeepSpeed's checkpoints of "
            "ZeRO-3, which have them in a file for each rank; run the zero_to_fp32.py that lies in that checkpoint's "
            "folder (python zero_to_fp32.py . whole) and give the file that it writes."
        )
