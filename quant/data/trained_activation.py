"""Whether weights were trained with the activation that they have here: BatchNorm's statistics tell, names do not."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from edge_effnet.activations import swap_activation
from edge_effnet.model import EfficientNet
from quant.common.findings import Finding, finding
from quant.data.batches import first_images
from quant.data.norm_statistics import norm_misfit, preferred
from quant.thresholds import ACTIVATION_CERTAINTY, ACTIVATION_MISFIT, ACTIVATION_RATIO, KNOWN_MISFIT

_IMAGES = 32
_OTHERS = ("swish", "hardswish", "relu", "relu6")


def check_trained_activation(model: EfficientNet, inputs: Sequence[torch.Tensor]) -> Finding | None:
    """Look for another activation whose outputs BatchNorm's statistics fit clearly better.

    Args:
        model: the network before folding, with the activation that its weights are taken for.
        inputs: preprocessed images in batches, each [n, C, H, W] float32.

    Returns:
        A warning that names the best; None where the present one is as good as any.
    """
    seen = first_images(inputs, _IMAGES)
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
