"""mean and std for as many channels as the first convolution takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from edge_effnet.errors import InputError
from edge_effnet.preprocess import GRAY, Preprocess
from edge_effnet.weights.checkpoint import LoadOptions

_OF_IMAGES = (GRAY, 3)
"""Channels of images; arrays of other counts may have any scale."""

_MOST = 5.0
"""No mean or standard deviation of numbers from 0 to 1 comes near it, those of 0 to 255 exceed it by far."""


def for_channels(
    preprocess: Preprocess, channels: int, options: LoadOptions, path: Path, notes: list[str]
) -> Preprocess:
    """Give a preprocessing the mean and std that the caller names, and those of a gray network one each.

    Args:
        preprocess: of the file or its origin.
        channels: that the first convolution takes.
        options: of the caller.
        path: for messages.
        notes: gets a sentence where something was assumed.

    Raises:
        InputError: numbers for other channels, or out of range.
    """
    mean = _given(options.mean, channels, "mean", path) or preprocess.mean
    std = _given(options.std, channels, "std", path) or preprocess.std
    if channels == GRAY and max(len(mean), len(std)) > 1:
        mean, std = ((round(fmean(values), 6),) for values in (mean, std))
        notes.append(
            f"The first convolution takes one channel: images are read as gray, mean {mean[0]:g} and std {std[0]:g}, "
            "those of its origin's three channels on average; --mean and --std say others."
        )
    if len(mean) != len(std):
        raise InputError(f"{path}: the first convolution takes {channels} channels; give both --mean and --std.")
    return replace(preprocess, mean=mean, std=std)


def _given(values: Sequence[float] | None, channels: int, name: str, path: Path) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) not in (1, channels):
        raise InputError(
            f"{path}: --{name} has {len(values)} numbers, the first convolution takes {channels} "
            f"channel{'s' * (channels != 1)}; give one number a channel, or one for all."
        )
    if channels in _OF_IMAGES and max(values) > _MOST:
        scaled = ",".join(f"{value / 255:.4g}" for value in values)
        raise InputError(f"--{name} is of pixels from 0 to 255; images go from 0 to 1 here: --{name} {scaled}.")
    return tuple(float(value) for value in (values if len(values) == channels else [values[0]] * channels))
