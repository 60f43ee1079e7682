"""The optimiser, with weight decay where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

_STATE: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.RMSprop: {"step", "square_avg", "momentum_buffer"},
}
"""What an optimiser keeps of each parameter, with the settings of `make_optimizer`."""


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


def restore_optimizer(optimizer: torch.optim.Optimizer, values: dict[str, Any]) -> None:
    """Load an optimiser's state, as copies: a checkpoint's tensors are its file, mapped.

    Raises:
        ValueError: a state of another optimiser, of other parameters, or with other settings; or whatever torch makes
            of a damaged one.
    """
    before = _settings(optimizer)
    optimizer.load_state_dict(values)
    if _settings(optimizer) != before:
        raise ValueError("other settings")
    for parameter, state in optimizer.state.items():
        if set(state) != _STATE[type(optimizer)]:
            raise ValueError(f"a state of {set(state)}")
        for name, value in state.items():
            if value.shape != (() if name == "step" else parameter.shape) or not value.is_floating_point():
                raise ValueError(f"{name} of {value.dtype} with the shape {value.shape}")
            state[name] = value.clone()


def _settings(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Those of each group that a run does not change."""
    return [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in optimizer.param_groups]
