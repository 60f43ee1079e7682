"""Networks saved after their BatchNorms went into the convolutions: each gets a BatchNorm that changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch

_OF_NORM = ("weight", "bias", "running_mean", "running_var")


def unfolded(
    tensors: Mapping[str, torch.Tensor], names: Mapping[str, str], bn_eps: float, notes: list[str]
) -> dict[str, torch.Tensor]:
    """Return the tensors with a BatchNorm for each convolution that has a bias in its place.

    Args:
        tensors: the file's, by its names.
        names: our name -> the file's.
        bn_eps: that the network adds to variances, which these have less.
        notes: gets a sentence where there were such.
    """
    found = dict(tensors)
    count = 0
    for ours, theirs in names.items():
        if not ours.endswith(".conv.weight"):
            continue
        norm = ours.removesuffix("conv.weight") + "norm."
        parts = {part: names.get(norm + part) for part in _OF_NORM}
        bias = f"{theirs.removesuffix('weight')}bias"
        if bias not in found or any(name is None or name in found for name in parts.values()):
            continue
        shift = found.pop(bias)
        one, none = torch.ones_like(shift), torch.zeros_like(shift)
        values = {"weight": one, "bias": shift, "running_mean": none, "running_var": one - bn_eps}
        found |= {str(name): values[part] for part, name in parts.items()}
        count += 1
    if count:
        notes.append(f"BatchNorm had been folded into {count} convolutions before saving.")
    return found
