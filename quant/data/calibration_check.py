"""Whether images are fit to calibrate on: different from each other, and what the network was trained to see."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import GRAY, RGB
from quant.common.findings import Finding, finding
from quant.data.batches import first_images
from quant.data.perceptual_hash import fields
from quant.thresholds import ACTIVATION_CERTAINTY, ACTIVATION_MISFIT, ACTIVATION_RATIO, KNOWN_MISFIT

# Mean difference of two images' hashes, in units of the network's input (about a standard deviation of a
# colour is 1): bursts and copies in another size are below, two images of one thing well above.
_ALIKE = 0.03

_ALIKE_SHARE = 0.25
"""Share of the images that may have a twin before it is said."""

# Stem channels' means may be so many of their standard deviations off, and their variances so many nats (a factor of
# 2.7): other images than the training's are within a quarter of it, wrong means or scales beyond.
_MEAN_SHIFT = 0.5
_LOG_VARIANCE = 1.0

_STEM_IMAGES = 32


def check_calibration(model: EfficientNet, inputs: Sequence[torch.Tensor]) -> tuple[Finding, ...]:
    """Find what looks wrong with calibration images; nothing where all is well.

    Args:
        model: the network before folding: its BatchNorm remembers what it was trained on.
        inputs: the preprocessed images in batches, each [n, C, H, W] float32.
    """
    found = []
    count = sum(len(batch) for batch in inputs)
    twins = twins_among(inputs)
    if twins > _ALIKE_SHARE * count:
        message = (
            f"{twins} of the {count} calibration images look like another one of them: ranges fitted on copies "
            "or bursts may not hold elsewhere; give images that differ as the phone's do."
        )
        found.append(finding("calibration-duplicates", message))
    if (shift := stem_shift(model, inputs)) is not None and (shift[0] > _MEAN_SHIFT or shift[1] > _LOG_VARIANCE):
        message = (
            "The images do not look to the network as its training set did (the stem's means are "
            f"{shift[0]:.1f} standard deviations off, its variances by a factor of {math.exp(shift[1]):.1f}): is the "
            "preprocessing (mean, std, RGB order) that of these weights? --origin names another."
        )
        found.append(finding("calibration-statistics", message))
    elif (other := check_trained_activation(model, inputs)) is not None:
        found.append(other)
    return tuple(found)


def twins_among(inputs: Sequence[torch.Tensor]) -> int:
    """Count the images that look like another of them."""
    hashes = torch.cat([fields(batch).flatten(1) for batch in inputs])
    distances = torch.cdist(hashes, hashes, p=1) / hashes.shape[1]
    distances.fill_diagonal_(math.inf)
    return int((distances.min(dim=1).values < _ALIKE).sum())


def stem_shift(model: EfficientNet, inputs: Sequence[torch.Tensor]) -> tuple[float, float] | None:
    """Compare the stem's statistics with those that its BatchNorm learned.

    Returns:
        Medians over the channels: distance of the means in standard deviations, and of the variances' logarithms.
        None where the stem has no BatchNorm.
    """
    stem = model.stem
    if not isinstance(stem.norm, nn.BatchNorm2d) or stem.norm.running_mean is None or stem.norm.running_var is None:
        return None
    with torch.no_grad():
        outputs = torch.cat([stem.conv(stem.pad(batch)) for batch in first_images(inputs, _STEM_IMAGES)])
    variance, mean = torch.var_mean(outputs, dim=(0, 2, 3))
    learned = stem.norm.running_var.clamp_min(1e-12)
    distance = (mean - stem.norm.running_mean).abs() / learned.sqrt()
    ratio = (variance.clamp_min(1e-12) / learned).log().abs()
    return distance.median().item(), ratio.median().item()


def require_channels(model: EfficientNet, weights: str | Path) -> None:
    """Refuse a network of more channels than an image has, without the mean and std of each.

    Raises:
        InputError: its first convolution takes another number of channels.
    """
    assert model.preprocess is not None
    if model.in_channels != model.preprocess.channels:
        raise InputError(
            f"{weights}: the first convolution takes {model.in_channels} channels, an image has {RGB}, or {GRAY} in "
            f"gray; give --mean and --std, {model.in_channels} numbers each (or one for all), and data as .npy "
            "arrays [height, width, channels]."
        )


_IMAGES, _FEWEST = 32, 8
_PIXELS = _IMAGES * 224**2
"""In all that are looked at: of larger images fewer hold as many places, and each takes longer."""
_AT_ONCE = 4
"""Of these: statistics are in float64, and an early layer's output of more would take hundreds of MiB."""

_OTHERS = ("swish", "hardswish", "relu", "relu6")


def check_trained_activation(model: EfficientNet, inputs: Sequence[torch.Tensor]) -> Finding | None:
    """Look for another activation whose outputs BatchNorm's statistics fit clearly better.

    Args:
        model: the network before folding, with the activation that its weights are taken for.
        inputs: preprocessed images in batches, each [n, C, H, W] float32.

    Returns:
        A warning that names the best; None where the present one is as good as any.
    """
    images = min(_IMAGES, max(_FEWEST, _PIXELS // inputs[0][0, 0].numel()))
    seen = [part for batch in first_images(inputs, images) for part in batch.split(_AT_ONCE)]
    now = norm_misfit(model, seen)
    if len(now) < 2 or float(now.mean()) < ACTIVATION_MISFIT:
        return None
    others = {name for name in _OTHERS if name != model.activation}
    found = {
        name: norm_misfit(swap_activation(copy.deepcopy(model), name), seen)
        for name in (sorted(others) if model.activation else ())
    }
    clear = {
        name: misfit
        for name, misfit in found.items()
        if float(misfit.mean()) <= KNOWN_MISFIT
        and (better := preferred(now, misfit)).ratio >= ACTIVATION_RATIO
        and better.certainty >= ACTIVATION_CERTAINTY
    }
    if not clear:
        return None
    best = min(clear, key=lambda name: float(clear[name].mean()))
    return finding(
        "trained-activation",
        f"What reaches the BatchNorms fits the statistics that they learned better with {best} than with "
        f"{model.activation} (misfit {float(clear[best].mean()):.2f} instead of {float(now.mean()):.2f}): was SiLU "
        "replaced before training?",
        remedy=f"Compare float's accuracy with --trained-activation {best}.",
    )


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
