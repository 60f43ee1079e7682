"""An exponential moving average of the weights, which generalises better than the last step's, and its BatchNorm."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import nn


class WeightAverage:
    """A second network that trails the trained one, BatchNorm's statistics included."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from a copy; `decay` 0 follows the network exactly."""
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model`, after step `step` (from 0).

        Early on the decay is lower, min(decay, (1 + step) / (10 + step)): the first weights mean little.
        """
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        ours, theirs = self.model.state_dict(), model.state_dict()
        moving = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in moving], [theirs[n] for n in moving], 1 - decay)
        for name in ours.keys() - set(moving):
            ours[name].copy_(theirs[name])


@torch.no_grad()
def recompute_statistics(model: nn.Module, inputs: Iterable[torch.Tensor]) -> None:
    """Replace running means and variances by their averages over `inputs`, for fixed weights.

    Running statistics trail weights that move, mix resolutions and describe augmented crops; averaged
    weights have none of their own. Only BatchNorm is put in training mode: no dropout, no DropConnect.

    Args:
        model: with averaged weights; left in eval mode.
        inputs: batches [n, 3, H, W] as at validation.
    """
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    for x in inputs:
        model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
