"""Recomputing BatchNorm's statistics on the images and the size that the network will see."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


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
