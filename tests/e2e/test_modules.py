"""A network in memory, from the module to an artifact that is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import InputError, load_checkpoint
from quant import quantize
from tests.support.tiny import TinyFiles, quantize_tiny

pytestmark = pytest.mark.usefixtures("tiny_variant", "one_thread")


class OwnNetwork(nn.Module):
    """A network of this package below a name of its own."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def test_a_module_gives_the_program_of_its_file(tiny: TinyFiles, tmp_path: Path) -> None:
    module = OwnNetwork(load_checkpoint(tiny.weights).model).train()
    settings = {"data": tiny.data, "calibration": 16, "recipe": "int8-fast", "max_drop": 50}
    made = quantize(model=module, out=tmp_path / "a", **settings)
    of_file = quantize_tiny(tiny, tmp_path / "b", **{k: v for k, v in settings.items() if k != "data"})
    assert made.artifact.program.read_bytes() == of_file.artifact.program.read_bytes()
    manifest = made.artifact.manifest
    assert manifest["weights"]["name"] == f"{OwnNetwork.__module__}.OwnNetwork" and manifest["variant"] == "lite0"
    assert module.training and not any(layer._forward_hooks for layer in module.modules())


def test_what_does_not_go_together(tiny: TinyFiles, tmp_path: Path) -> None:
    module = load_checkpoint(tiny.weights).model
    with pytest.raises(InputError, match="model and weights: give one of them"):
        quantize(model=module, weights=tiny.weights, data=tiny.data, out=tmp_path / "a")
    with pytest.raises(InputError, match="give data too"):
        quantize(model=module, out=tmp_path / "a")
