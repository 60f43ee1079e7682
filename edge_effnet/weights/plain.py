"""Tensors of a weight file, made sure to be what they look like: dense numbers in memory that the file filled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

_KINDS = (torch.Tensor, torch.nn.Parameter)


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
        tensor = torch.Tensor.detach(found) if type(found) in _KINDS else found
        if type(found) not in _KINDS or tensor.device.type != "cpu" or not _is_dense(tensor):
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


def _is_dense(tensor: torch.Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_nested
