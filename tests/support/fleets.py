"""A run over several backends, of a network that takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quant import RunResult, quantize
from tests.support.checkpoints import colour_checkpoint
from tests.support.images import draw_halves
from tests.support.tiny import installed


def made_fleet(folder: Path, backends: Sequence[str]) -> tuple[RunResult, Path]:
    """Quantize `lite0`'s stand-in for some backends; what came out, and the images."""
    with installed():
        weights = colour_checkpoint(folder / "tiny.safetensors", "lite0", 32)
        data = draw_halves(folder / "photos", train=6, val=8)
        result = quantize(
            "lite0",
            backend=backends,
            weights=weights,
            data=data,
            calibration=9,
            recipe="int8-float-stem",
            out=folder / "out",
            max_drop=60,
        )
    assert isinstance(result, RunResult)
    return result, data
