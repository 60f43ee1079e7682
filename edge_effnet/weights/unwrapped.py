"""A state dict as its layers have it: what wraps or prunes single layers is taken off their names and weights."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import torch

_WRAPPER = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module|_forward_module)\.")
"""Left in the middle of names by torch.compile, activation checkpointing, FSDP and Lightning's Fabric."""

_PRUNED = "_orig", "_mask"
"""Behind the name of a weight that `torch.nn.utils.prune` has in two parts, whose product the layer uses."""


def unwrapped(tensors: Mapping[str, torch.Tensor], notes: list[str]) -> dict[str, torch.Tensor]:
    """Return a state dict without wrappers in its names and with pruned weights as they are used.

    Args:
        tensors: `plain_tensors`, by the file's names.
        notes: gets a sentence where weights were multiplied.
    """
    # What all names have in common is a prefix like any other, and told as such.
    shared = os.path.commonprefix(list(tensors)).rpartition(".")[0]  # noqa: RUF071
    names = {key: key[: len(shared)] + _WRAPPER.sub("", key[len(shared) :]) for key in tensors}
    if len(set(names.values())) < len(names):  # a wrapped copy beside an unwrapped one
        names = {key: key for key in tensors}
    plain = {names[key]: tensor for key, tensor in tensors.items()}
    weight, mask = _PRUNED
    pruned = [name.removesuffix(mask) for name in plain if name.endswith(mask)]
    pruned = [name for name in pruned if _fit(plain.get(name + weight), plain[name + mask])]
    for name in pruned:
        plain[name] = plain.pop(name + weight) * plain.pop(name + mask)
    if pruned:
        notes.append(f"Pruned weights were multiplied by their masks ({len(pruned)} layers).")
    return plain


def _fit(weight: torch.Tensor | None, mask: torch.Tensor) -> bool:
    return weight is not None and weight.shape == mask.shape
