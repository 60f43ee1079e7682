"""The optimiser, with weight decay where it belongs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split what trains into decayed weights and everything of one dimension: BatchNorm and biases.

    Decaying a BatchNorm scale only rescales its channel; decaying a bias shifts it to no use.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimizer(name: str, groups: list[dict[str, object]], *, lr: float) -> torch.optim.Optimizer:
    """`adamw`, or `rmsprop` with the TensorFlow reference's smoothing, momentum and eps."""
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, fused=True)
    # fused AdamW has no counterpart here; foreach keeps the Python overhead away.
    return torch.optim.RMSprop(groups, lr=lr, alpha=0.9, momentum=0.9, eps=1e-3, foreach=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float, factors: Sequence[float]) -> None:
    """Use `lr`, times each group's factor, from the next step on."""
    for group, factor in zip(optimizer.param_groups, factors, strict=True):
        group["lr"] = lr * factor
