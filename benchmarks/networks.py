"""The networks of the latency tables, and the material that every toolchain makes its program of them from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peers.peer import Material

from edge_effnet.model import EfficientNet
from edge_effnet.variants import resolve_variant
from edge_effnet.weights.save import save_checkpoint

CLASSES = 1000

IMAGES = 8
"""Noise to calibrate on: latency does not depend on the values of weights or images."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A row group of the tables."""

    title: str
    variant: str
    activation: str | None = None


NETWORKS: dict[str, Network] = {
    "b0": Network(title="B0", variant="b0"),
    "b0-hardswish": Network(title="B0 with hardswish", variant="b0", activation="hardswish"),
    "lite0": Network(title="Lite0", variant="lite0"),
    "b1": Network(title="B1", variant="b1"),
    "b2": Network(title="B2", variant="b2"),
    "b3": Network(title="B3", variant="b3"),
    "b4": Network(title="B4", variant="b4"),
}


def make_material(name: str, folder: Path) -> Material:
    """Write a network with random weights and `CLASSES` classes, and images for it; what is there is kept.

    Args:
        name: a key of `NETWORKS`.
        folder: for everything; made where it is missing.
    """
    network = NETWORKS[name]
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "weights.safetensors"
    if not weights.exists():
        torch.manual_seed(0)
        # Symmetric padding is what every toolchain's convolutions know; SAME would cost some of them pads.
        model = EfficientNet.from_name(
            network.variant, num_classes=CLASSES, activation=network.activation, padding="symmetric"
        ).eval()
        save_checkpoint(weights, model)
        side = resolve_variant(network.variant).resolution
        noise = np.random.default_rng(0).standard_normal((IMAGES, 3, side, side), dtype=np.float32)
        for which in ("calibration", "validation", "judged"):
            np.save(folder / f"{which}.npy", noise if which == "calibration" else noise[:1])
            np.save(folder / f"{which}-labels.npy", np.zeros(len(noise), dtype=np.int64))
    return Material(folder, network.variant, str(weights))
