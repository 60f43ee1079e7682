"""mean and std: those that a module keeps as buffers, and those for as many channels as its stem takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.preprocess import GRAY, Preprocess
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.resizing import of_unit_pixels

_BUFFER = re.compile(r"(?P<before>(?:.*\.)?\w*?)(?P<kind>mean|std)(?P<behind>s?)")
_OF_OUTPUTS = re.compile(r"(?:^|[._])(?:y|targets?|labels?|outputs?|logits?|preds?)(?:[._]|$)")
"""What undoes the scaling of a regression's numbers is called so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalization:
    """One pair of buffers."""

    names: tuple[str, str]
    """Of the tensors in the file, mean first."""
    mean: tuple[float, ...]
    """Of 0..1, one number a channel."""
    std: tuple[float, ...]
    range: float
    """Of the images that the module takes: 1 or 255."""

    def __str__(self) -> str:
        """As a note."""
        names = " and ".join(brief(repr(name)) for name in self.names)
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return (
            f"{names} are what the file's own module subtracts from images and divides them by, which was taken: "
            f"mean {mean}, std {std} (of 0..1); --mean and --std say others."
        )


def find_normalization(tensors: Mapping[str, torch.Tensor], channels: int) -> Normalization | None:
    """Find the one pair of tensors around a network that can only be mean and std of images of so many channels."""
    found = []
    for key, mean in tensors.items():
        match = _BUFFER.fullmatch(key)
        if match is None or match["kind"] != "mean" or _OF_OUTPUTS.search(key.lower()):
            continue
        other = f"{match['before']}std{match['behind']}"
        std = tensors.get(other)
        if std is not None and _is_row(mean, channels) and _is_row(std, channels):
            found.append(_scaled((key, other), mean, std))
    return found[0] if len(found) == 1 else None


def _is_row(tensor: torch.Tensor, channels: int) -> bool:
    """Whether it has one number a channel and nothing else: [C], [C, 1, 1] or [1, C, 1, 1]."""
    return tensor.is_floating_point() and 0 < tensor.numel() == channels == max(tensor.shape, default=0)


def _scaled(names: tuple[str, str], mean: torch.Tensor, std: torch.Tensor) -> Normalization | None:
    rows = [[round(value, 6) for value in tensor.double().flatten().tolist()] for tensor in (mean, std)]
    unit = of_unit_pixels(*rows)
    if unit is None or min(unit[0]) < 0:
        return None
    return Normalization(names=names, mean=unit[0], std=unit[1], range=unit[2])


def for_channels(
    preprocess: Preprocess, channels: int, options: LoadOptions, path: Path
) -> tuple[Preprocess, tuple[str, ...]]:
    """Give a preprocessing the mean and std that the caller names, and those of a gray network one each.

    `channels` are those that the first convolution takes; with a sentence for the user where something was assumed.

    Raises:
        InputError: numbers for other channels, or out of range.
    """
    mean = _given(options.mean, channels, "mean", path) or preprocess.mean
    std = _given(options.std, channels, "std", path) or preprocess.std
    notes: tuple[str, ...] = ()
    if channels == GRAY and max(len(mean), len(std)) > 1:
        mean, std = ((round(fmean(values), 6),) for values in (mean, std))
        notes = (
            f"The first convolution takes one channel: images are read as gray, mean {mean[0]:g} and std {std[0]:g}, "
            "those of its origin's three channels on average; --mean and --std say others.",
        )
    if len(mean) != len(std):
        raise InputError(f"{path}: the first convolution takes {channels} channels; give both --mean and --std.")
    return replace(preprocess, mean=mean, std=std), notes


def _given(values: Sequence[float] | None, channels: int, name: str, path: Path) -> tuple[float, ...] | None:
    if values is None:
        return None
    if len(values) not in (1, channels):
        raise InputError(
            f"{path}: --{name} has {len(values)} numbers, the first convolution takes {channels} "
            f"channel{'s' * (channels != 1)}; give one number a channel, or one for all."
        )
    # Arrays of other channels may have any scale; no mean or deviation of 0 to 1 comes near 5, those of 0 to 255 do.
    if channels in (GRAY, 3) and max(values) > 5:
        scaled = ",".join(f"{value / 255:.4g}" for value in values)
        raise InputError(f"--{name} is of pixels from 0 to 255; images go from 0 to 1 here: --{name} {scaled}.")
    return tuple(float(value) for value in (values if len(values) == channels else [values[0]] * channels))
