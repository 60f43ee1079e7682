"""A network of a few thousand weights and images of three colours: training runs that take a second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from edge_effnet.stages import StageSpec
from edge_effnet.variants import VARIANTS, VariantSpec
from quant.training import Stage, TrainConfig
from tests.support.images import draw_halves

TINY = VariantSpec(
    name="tiny",
    width=0.5,
    depth=1.0,
    resolution=32,
    dropout=0.1,
    stages=(
        StageSpec(kernel=3, stride=1, expand_ratio=1, in_channels=32, out_channels=16, repeats=1),
        StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=16, out_channels=24, repeats=2),
        StageSpec(kernel=5, stride=2, expand_ratio=4, in_channels=24, out_channels=40, repeats=2),
    ),
)


def use_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `lite0` name the tiny network: training goes by names."""
    monkeypatch.setitem(VARIANTS, "lite0", TINY)


def tiny_config(folder: Path, **changes: Any) -> TrainConfig:
    """Return the settings of a run over images that are drawn into `folder` where there are none."""
    if "data" not in changes and not (folder / "data").exists():
        draw_halves(folder / "data", train=6, val=3)
    settings: dict[str, Any] = {
        "variant": "lite0",
        "data": folder / "data",
        "out": folder / "out" / "tiny.safetensors",
        "stages": (Stage(image_size=32, epochs=2),),
        "batch_size": 6,
        "bn_images": 12,
        "workers": 0,
        "threads": 1,
    }
    return TrainConfig(**(settings | changes))


def without_torchrun() -> dict[str, str]:
    """Return the environment of a process that is not one of torchrun's, on one thread."""
    kept = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return kept | {"OMP_NUM_THREADS": "1"}
