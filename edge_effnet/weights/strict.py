"""Strict loading: every tensor of file and network accounted for, by name, shape and finiteness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

_SHOWN = 5
_COUNTER = "num_batches_tracked"


def match_tensors(
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, torch.Size],
    names: Mapping[str, str],
    *,
    beside: Iterable[str] = (),
    title: str,
) -> dict[str, torch.Tensor]:
    """Rename a file's tensors to ours, in float32.

    Args:
        tensors: the file's, by its names; `plain_tensors`.
        shapes: what the network needs, by our names.
        names: our name -> the file's name.
        beside: other tensors of the file, to be named where the network is not complete without them.
        title: how messages begin: the file and what it should have been.

    Returns:
        Tensors by our names. BatchNorm's step counters, which old files lack and nothing reads, become 0.

    Raises:
        InputError: listing what is missing, unexpected or misshapen; or naming a tensor with a value that is
            not finite, or a variance below zero.
    """
    missing = [theirs for ours, theirs in names.items() if theirs not in tensors and not ours.endswith(_COUNTER)]
    unexpected = sorted(set(tensors) - set(names.values()))
    misshapen = [
        f"{theirs} {brief(list(tensors[theirs].shape))} instead of {list(shapes[ours])}"
        for ours, theirs in names.items()
        if theirs in tensors and tensors[theirs].shape != shapes[ours]
    ]
    if missing or misshapen:
        unexpected += beside
    problems = [
        f"{len(items)} {kind} ({_shortened(items)})"
        for kind, items in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if items
    ]
    if problems:
        raise InputError(f"{title}: {'; '.join(problems)}.")
    return {ours: _as_parameter(tensors, ours, theirs, title) for ours, theirs in names.items()}


def _as_parameter(tensors: Mapping[str, torch.Tensor], ours: str, theirs: str, title: str) -> torch.Tensor:
    if ours.endswith(_COUNTER):
        return tensors.get(theirs, torch.tensor(0)).to(torch.int64, copy=True)
    tensor = tensors[theirs]
    if not tensor.is_floating_point():
        raise InputError(
            f"{title}: {theirs} is {tensor.layout} of {tensor.dtype}; float weights are needed, not quantized ones."
        )
    tensor = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(tensor).all()):
        count = int((~torch.isfinite(tensor)).sum())
        raise InputError(f"{title}: {theirs} has {count} NaN or infinite values of {tensor.numel()}.")
    if ours.endswith("running_var") and bool((tensor < 0).any()):
        raise InputError(f"{title}: {theirs} has values below 0, which no variance has.")
    return tensor


def _shortened(items: Iterable[str]) -> str:
    listed = list(items)
    rest = len(listed) - _SHOWN
    return ", ".join(map(brief, listed[:_SHOWN])) + (f", and {rest} more" if rest > 0 else "")
