"""Weights that are finite and whose activations are not: one sentence that names the file and the layer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import fx

from edge_effnet import EfficientNet, InputError, Preprocess, save_checkpoint
from edge_effnet.variants import VARIANTS
from quant import quantize
from quant.common.progress import NoProgress
from quant.ptq.histograms import ChannelExtremes, WeightedHistograms
from quant.training import train
from tests.support.images import COLOURS, draw_halves
from tests.support.training import TINY, tiny_config


def overflowing(path: Path, suffix: str, factor: float) -> Path:
    model = EfficientNet.from_name(VARIANTS["lite0"], num_classes=len(COLOURS), image_size=32)
    model.class_names, model.preprocess = COLOURS, Preprocess(crop=32, resize=32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(suffix):
                parameter.div_(parameter.abs().max()).mul_(factor)
    save_checkpoint(path, model)
    return path


@pytest.mark.parametrize("make", [quantize, partial(quantize, backend=["xnnpack:fp32"])])
@pytest.mark.parametrize(
    ("suffix", "factor", "layer"),
    [
        ("conv.weight", 1e30, "stem.conv"),
        ("classifier.weight", 3e38, "classifier"),
        ("stem.conv.weight", 1e17, "stem.conv"),
    ],
)
def test_the_first_layer_that_overflows_is_named(suffix, factor, layer, make, tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "lite0", replace(TINY, name="lite0"))
    weights = overflowing(tmp_path / "w.safetensors", suffix, factor)
    data = draw_halves(tmp_path / "data", train=8, val=2)
    with pytest.raises(InputError, match=rf"w\.safetensors: .* the output of {layer} spans .* damaged weights"):
        make("lite0", weights=weights, data=data, calibration=8, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("channels", [2, 4])
def test_a_network_of_other_channels_than_images_have_is_refused(channels, tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "lite0", replace(TINY, name="lite0"))
    model = EfficientNet.from_name(VARIANTS["lite0"], num_classes=len(COLOURS), in_channels=channels, image_size=32)
    weights, data = tmp_path / "w.safetensors", draw_halves(tmp_path / "data", train=8, val=2)
    save_checkpoint(weights, model)
    words = rf"w\.safetensors: the first convolution takes {channels} channels?, an image has 3"
    with pytest.raises(InputError, match=words):
        quantize("lite0", weights=weights, data=data, image_size=32, calibration=8, out=tmp_path / "out")
    with pytest.raises(InputError, match=words):
        train(tiny_config(tmp_path, data=data, weights=weights), NoProgress())


def exponential() -> fx.GraphModule:
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.exp, (x,)))
    return fx.GraphModule(torch.nn.Module(), graph)


@pytest.mark.parametrize("value", [100.0, float("nan")])
def test_a_image_that_overflows_later_is_found_where_ranges_are_fitted(value):
    x = torch.full((1, 3, 4, 4), value)
    for collect in (WeightedHistograms(exponential(), ["exp"], 0.1), ChannelExtremes(exponential(), ["exp"])):
        with pytest.raises(InputError, match=r"exp spans .* on a calibration image"):
            collect.run(x)
