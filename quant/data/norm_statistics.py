"""How well a network's BatchNorms know what reaches them: they remember the statistics of their training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(slots=True)
class _Sums:
    """Of what reaches one BatchNorm, a channel each."""

    count: int = 0
    total: torch.Tensor | float = 0.0
    squares: torch.Tensor | float = 0.0

    def add(self, x: torch.Tensor) -> None:
        wide = x.double()
        self.count += x.shape[0] * x.shape[2] * x.shape[3]
        self.total = self.total + wide.sum(dim=(0, 2, 3))
        self.squares = self.squares + wide.square().sum(dim=(0, 2, 3))


def norm_misfit(model: nn.Module, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Compare what reaches each BatchNorm with what it learned.

    Args:
        model: in eval mode, before folding.
        inputs: preprocessed images in batches, each [n, C, H, W] float32.

    Returns:
        [norms], float64: medians over the channels, of the variances' distance in nats and of the means' distance in
        standard deviations, added up. 0.2 is usual for a network's own kind of images; empty without BatchNorm.
    """
    norms = [module for module in model.modules() if _remembers(module)]
    sums = [_Sums() for _ in norms]
    hooks = [
        norm.register_forward_pre_hook(lambda _module, given, sums=found: sums.add(given[0]))
        for norm, found in zip(norms, sums, strict=True)
    ]
    try:
        with torch.no_grad():
            for batch in inputs:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.tensor([_misfit(norm, found) for norm, found in zip(norms, sums, strict=True)], dtype=torch.float64)


def _remembers(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.running_var is not None


def _misfit(norm: nn.Module, found: _Sums) -> float:
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    mean = torch.as_tensor(found.total) / found.count
    variance = (torch.as_tensor(found.squares) / found.count - mean.square()).clamp_min(1e-12)
    learned = norm.running_var.double().clamp_min(1e-12)
    shift = (mean - norm.running_mean.double()).abs() / learned.sqrt()
    return float((variance / learned).log().abs().median() + shift.median())


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """Which of two networks of the same weights its BatchNorms know better."""

    ratio: float
    """Of the misfits, the first's to the second's, on average over the norms (geometric)."""
    certainty: float
    """Of the logarithm of that: its distance from 0 in standard errors; above 0 speaks for the second."""


def preferred(first: torch.Tensor, second: torch.Tensor) -> Preference:
    """Compare two misfits, norm by norm: images of another kind than the training's raise both alike."""
    if len(first) < 2:
        return Preference(ratio=1.0, certainty=0.0)
    gain = (first.clamp_min(1e-6) / second.clamp_min(1e-6)).log()
    error = float(gain.std()) / len(gain) ** 0.5
    mean = float(gain.mean())
    return Preference(ratio=math.exp(mean), certainty=0.0 if error == 0 else mean / error)
