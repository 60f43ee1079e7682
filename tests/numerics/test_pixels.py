"""Pixels straight into an int8 stem: the network that it was, the program to the bit, and nothing in float."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from quant.common.progress import NoProgress
from quant.graph.fallback_units import convolution_units, nodes_of
from quant.graph.pixels import pixels
from quant.lower.options import Normalization
from quant.lower.xnnpack.emit import Emitter
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.ptq.steps import Context, Phase, State, quantize_program, run_steps
from quant.qat.network import trainable, write_back
from quant.recipes import RECIPES
from tests.support.exports import exported
from tests.support.families import V2_LIKE
from tests.support.networks import images
from tests.support.ptq import quantized
from tests.support.warm import run_program

SIZE = 32

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
ENDS = Normalization(mean=(0.0, 0.6, 1.0), std=(1.0, 0.2, 0.05))
GRAY = Normalization(mean=(0.449,), std=(0.226,))
FOUR = Normalization(mean=(0.0, 0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0, 1.0))


def _graph(variant=V2_LIKE, size=SIZE, padding="symmetric", **settings):
    return exported(variant, size, padding=padding, **settings)


def _pixels(normalization, seed, size=SIZE):
    """Pixels [4, H, W, C], and what they are normalised to."""
    drawn = 60 * images(4, size, seed=seed, channels=len(normalization.mean)) + 127
    taken = drawn.clamp(0, 255).round().to(torch.uint8)
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (normalization.mean, normalization.std))
    return taken.permute(0, 2, 3, 1).contiguous(), (taken / 255 - mean) / std


def _quantize(graph, normalization, recipe="int8-fast", size=SIZE):
    seen = _pixels(normalization, seed=2, size=size)[1]
    return quantized(graph, [seen], recipe, normalization=normalization)


def _run(tmp_path, converted, normalization, taken):
    lowered = lower_xnnpack(converted, (1, taken.shape[3], *taken.shape[1:3]), normalization=normalization)
    assert lowered.takes_pixels
    return run_program(tmp_path, lowered.data, taken)


@pytest.mark.parametrize(
    ("network", "normalization", "recipe", "least_db"),
    [
        # The padding's colour is rounded to 8 bits, of a border that is much of a small image.
        ({"padding": "symmetric"}, IMAGENET, "int8", 35),
        ({"padding": "same"}, HALF, "int8-strict", 35),
        ({"variant": "lite0", "activation": "relu6", "padding": "same"}, ENDS, "int8-minmax", 80),
        ({"padding": "same", "channels": 1, "size": 33}, GRAY, "int8-fast", 35),
        ({"channels": 4}, FOUR, "int8-fast", 80),
    ],
)
def test_the_program_is_the_simulation_to_the_bit(tmp_path, network, normalization, recipe, least_db):
    graph, size = _graph(**network), network.get("size", SIZE)
    taken, inputs = _pixels(normalization, seed=1, size=size)
    int8 = _quantize(graph, normalization, recipe, size)
    with torch.no_grad():
        assert sqnr_db(graph(inputs), int8.reference(inputs)) > least_db
        expected = simulation_of(int8.converted).module(inputs)
    found = _run(tmp_path, int8.converted, normalization, taken)
    assert found.std(dim=0).mean() > 0, "the outputs have to depend on the images"
    assert torch.equal(found, expected)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_no_image_is_float(padding):
    int8 = _quantize(_graph(padding=padding), IMAGENET, "int8-minmax")
    emitter = Emitter(module=int8.converted, input_shape=(1, 3, SIZE, SIZE), normalization=IMAGENET)
    emitter.run()
    floats = [v.xvalue_union for v in emitter.builder.values if type(v.xvalue_union).__name__ == "XNNTensorValue"]
    assert all(tensor.num_dims == 2 for tensor in floats), "images have four dimensions, features two"
    nodes = [type(node.xnode_union).__name__ for node in emitter.builder.nodes]
    padded = ["XNNConv2d", "XNNConcatenate2", "XNNConv2d", "XNNConcatenate2"]
    assert nodes[:6] == ["XNNConvert", *padded, "XNNConv2d"]


@pytest.mark.parametrize(
    ("recipe", "normalization"),
    [
        ("int8-float-stem", IMAGENET),
        # No pixel is zero then.
        ("int8-fast", Normalization(mean=(-0.1, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
    ],
)
def test_others_normalise_in_float(tmp_path, recipe, normalization):
    taken, inputs = _pixels(normalization, seed=1)
    int8 = _quantize(_graph(), normalization, recipe)
    assert all(node.target is not pixels for node in int8.converted.graph.nodes)
    found = _run(tmp_path, int8.converted, normalization, taken)
    with torch.no_grad():
        assert sqnr_db(simulation_of(int8.converted).module(inputs), found) > 15


def test_a_stem_that_a_search_leaves_in_float_reads_pixels_too(tmp_path):
    graph, (taken, inputs) = _graph(), _pixels(IMAGENET, seed=1)
    floats = nodes_of(convolution_units(graph))
    seen = _pixels(IMAGENET, seed=2)[1]
    context = Context(
        inputs=[seen], recipe=RECIPES["int8-minmax"], seed=0, progress=NoProgress(), normalization=IMAGENET
    )
    prepared = run_steps(Phase.NETWORK, State(graph=graph), context)
    units = convolution_units(prepared.graph)
    assert nodes_of(units) - floats == {"pixels"}
    converted = quantize_program(replace(prepared, float_nodes=nodes_of(units)), context).converted
    with torch.no_grad():
        expected = simulation_of(converted).module(inputs)
    assert sqnr_db(expected, _run(tmp_path, converted, IMAGENET, taken)) > 30


def test_training_leaves_the_pixels_scale_alone(tmp_path):
    taken, inputs = _pixels(IMAGENET, seed=1)
    converted = _quantize(_graph(padding="same"), IMAGENET).converted
    network = trainable(converted)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
        expected = network.module(inputs)
    write_back(network, network.module, converted)
    assert torch.equal(_run(tmp_path, converted, IMAGENET, taken), expected)
