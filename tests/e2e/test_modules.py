"""A network in memory, from the module to an artifact that is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import EfficientNet, InputError, Preprocess, load_checkpoint
from quant import QuantizeConfig, quantize
from quant.pipeline.manifest import quantize_command
from quant.pipeline.request import resolve
from tests.support.tiny import TinyFiles, quantize_tiny

pytestmark = pytest.mark.usefixtures("tiny_variant")


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


class Gated(OwnNetwork):
    """With a head that no row of layers says."""

    def __init__(self, net: EfficientNet) -> None:
        super().__init__(net)
        assert isinstance(net.classifier, nn.Linear)
        self.last, net.classifier = net.classifier, None
        self.gate = nn.Linear(self.last.in_features, self.last.in_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.net(x).flatten(1)
        return self.last(features * self.gate(features).sigmoid()).softmax(dim=-1)


def test_a_head_of_its_own_is_quantized_with_the_rest(tiny: TinyFiles, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Gated(load_checkpoint(tiny.weights).model)
    made = quantize(model=module, data=tiny.data, out=tmp_path / "a", calibration=16, recipe="int8-fast")
    assert made.passed
    assert made.artifact.manifest["head"] == "carried" and made.outcome.lowering.sqnr_db > 100
    assert (made.artifact.delegation.partitions, made.artifact.delegation.left) == (1, 0)


def test_operators_without_a_kernel_are_named(tiny: TinyFiles, tmp_path: Path) -> None:
    module = OwnNetwork(load_checkpoint(tiny.weights).model)
    module.forward = lambda x: module.net(x).cumsum(dim=1)  # type: ignore[method-assign]
    with pytest.raises(
        InputError, match=r"no kernel here runs \(cumsum: no XNNPACK rule for aten\.cumsum\.default\)"
    ):
        quantize(model=module, data=tiny.data, out=tmp_path / "a", calibration=16)


def test_a_preprocessing_is_said_in_the_command(tiny: TinyFiles, tmp_path: Path) -> None:
    squash = Preprocess(crop=32, resize=32, resize_mode="squash", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    config = QuantizeConfig(
        variant="lite0", weights=tiny.weights, data=tiny.data, preprocess=squash, out=tmp_path / "a"
    )
    request = resolve(config)
    assert load_checkpoint(tiny.weights, preprocess=config.preprocess).preprocess == squash
    words = " ".join(quantize_command(request))
    assert "--resize 32 --crop 32 --interpolation bicubic --resize-mode squash --mean 0.5,0.5,0.5 --std 0.25" in words
