"""Whether images are fit to calibrate on: different from each other, and what the network was trained to see."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
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
"""Of these: an early layer's output of more would take hundreds of MiB."""

_OTHERS = ("swish", "hardswish", "relu", "relu6")


def check_trained_activation(model: EfficientNet, inputs: Sequence[torch.Tensor]) -> Finding | None:
    """Warn where BatchNorm's statistics fit another activation better; arguments as of `check_calibration`."""
    images = min(_IMAGES, max(_FEWEST, _PIXELS // inputs[0][0, 0].numel()))
    seen = [part for batch in first_images(inputs, images) for part in batch.split(_AT_ONCE)]
    now = norm_misfit(model, seen)
    if len(now) < 2 or float(now.mean()) < ACTIVATION_MISFIT:
        return None
    clear: dict[str, float] = {}
    for name in sorted({*_OTHERS} - {model.activation}) if model.activation else ():
        misfit = norm_misfit(swap_activation(copy.deepcopy(model), name), seen)
        ratio, certainty = preferred(now, misfit)
        if misfit.mean() <= KNOWN_MISFIT and ratio >= ACTIVATION_RATIO and certainty >= ACTIVATION_CERTAINTY:
            clear[name] = float(misfit.mean())
    if not clear:
        return None
    best = min(clear, key=clear.__getitem__)
    return finding(
        "trained-activation",
        f"What reaches the BatchNorms fits the statistics that they learned better with {best} than with "
        f"{model.activation} (misfit {clear[best]:.2f} instead of {float(now.mean()):.2f}): was SiLU replaced before "
        "training?",
        remedy=f"Compare float's accuracy with --trained-activation {best}.",
    )


def norm_misfit(model: nn.Module, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Compare what reaches each BatchNorm with what it learned.

    Args:
        model: in eval mode, before folding.
        inputs: preprocessed images in batches, each [n, C, H, W] float32.

    Returns:
        [norms], float64: medians over the channels, of the variances' distance in nats and of the means' distance in
        standard deviations, added up. 0.2 is usual for a network's own kind of images; empty without BatchNorm.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.running_var is not None]
    # Made before the network runs: small blocks that stay, made among its large ones, keep these from being reused,
    # and B7 at 600 pixels then took 11 GiB.
    seen: dict[nn.Module, torch.Tensor] = {n: torch.zeros(3, n.num_features, dtype=torch.float64) for n in norms}

    def look(norm: nn.Module, given: tuple[torch.Tensor]) -> None:
        count = given[0].numel() // given[0].shape[1]
        # BatchNorm's own statistics in training: a quarter of the time of `var_mean`, of the population too.
        mean, variance = (each.double() for each in torch.batch_norm_update_stats(given[0], None, None, 0.0))
        seen[norm] += count * torch.stack([torch.ones_like(mean), mean, variance + mean.square()])

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        with torch.no_grad():
            for batch in inputs:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.tensor([_misfit(norm, seen[norm]) for norm in norms], dtype=torch.float64)


def _misfit(norm: nn.BatchNorm2d, seen: torch.Tensor) -> float:
    """Of one norm; `seen` [3, channels] are what reached it: how many values, their sum, their squares' sum."""
    assert norm.running_mean is not None and norm.running_var is not None
    count, total, squares = seen
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(1e-12)
    learned = norm.running_var.double().clamp_min(1e-12)
    shift = (mean - norm.running_mean.double()).abs() / learned.sqrt()
    return float((variance / learned).log().abs().median() + shift.median())


def preferred(first: torch.Tensor, second: torch.Tensor) -> tuple[float, float]:
    """Compare two networks' misfits, norm by norm: images of another kind than the training's raise both alike.

    Returns:
        Ratio of the first to the second, on average over the norms (geometric); and the distance of its logarithm
        from 0 in standard errors: above 0 it speaks for the second.
    """
    if len(first) < 2:
        return 1.0, 0.0
    gain = (first.clamp_min(1e-6) / second.clamp_min(1e-6)).log()
    error = float(gain.std()) / len(gain) ** 0.5
    mean = float(gain.mean())
    return math.exp(mean), 0.0 if error == 0 else mean / error
