"""Whether float weights compute usable numbers: what overflows has no range to be quantized in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.model import EfficientNet
from quant.data.batches import first_images

LARGEST = 1e15
"""Of an activation: its square, and a sum of squares, still fit into float32. Trained networks stay below 1e6."""

_IMAGES = 4
"""Weights that overflow do so on any; what overflows on others is found where ranges are fitted."""


def require_finite(model: EfficientNet, inputs: Sequence[torch.Tensor], weights: str | Path) -> None:
    """Run the float network on a few images and look at the output of every layer.

    Args:
        model: the network.
        inputs: preprocessed images in batches, each [n, C, H, W] float32.
        weights: where it comes from, for the sentence.

    Raises:
        InputError: a layer whose output is not finite or beyond `LARGEST`, the first one named.
    """
    handles = [
        module.register_forward_hook(_looking(name, weights))
        for name, module in model.named_modules()
        if not any(module.children())
    ]
    try:
        with torch.no_grad():
            for batch in first_images(inputs, _IMAGES):
                model(batch)
    finally:
        for handle in handles:
            handle.remove()


def require_usable(name: str, low: float, high: float) -> None:
    """Make sure that a range is one that an activation can be quantized in.

    Raises:
        InputError: not finite, or beyond `LARGEST`.
    """
    if not _is_usable(low, high):
        raise InputError(
            f"{name} spans {low:g} to {high:g} on a calibration image, where a trained network stays finite and "
            f"far below {LARGEST:g}: are these weights of this variant, and whole?"
        )


def in_memory_order(x: torch.Tensor) -> torch.Tensor:
    """View what lies channels last, [N, C, H, W], as [N, H, W, C]: torch reduces anything else many times slower."""
    return x.permute(0, 2, 3, 1) if x.dim() == 4 and not x.is_contiguous() else x


def extremes(x: torch.Tensor) -> tuple[float, float]:
    """Smallest and largest value."""
    low, high = torch.aminmax(in_memory_order(x))
    return low.item(), high.item()


def _is_usable(low: float, high: float) -> bool:
    return math.isfinite(low) and math.isfinite(high) and max(-low, high) <= LARGEST


def _looking(name: str, weights: str | Path) -> Any:
    def look(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        low, high = (extreme.item() for extreme in torch.aminmax(output))
        if not _is_usable(low, high):
            raise InputError(
                f"{weights}: on the calibration images the output of {name} spans {low:g} to {high:g}, where a "
                f"trained network stays finite and far below {LARGEST:g}: damaged weights, or not of this variant."
            )

    return look
