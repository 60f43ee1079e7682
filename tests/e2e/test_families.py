"""EfficientNetV2 and EdgeTPU from weights to a verdict, on small networks with their blocks."""

import dataclasses
import json
from collections import Counter

import pytest
import torch

from edge_effnet import EfficientNet, load_checkpoint
from edge_effnet.blocks import ConvBlock, FusedMBConv, MBConv
from edge_effnet.fuse import fold_for_inference
from edge_effnet.variants import VARIANTS
from quant import check, quantize
from quant.graph.export import export_graph
from quant.graph.fallback_units import convolution_units, units
from quant.ptq.channel_groups import groupable
from quant.ptq.equalize import equalizable
from tests.support.checkpoints import colour_checkpoint
from tests.support.families import ES_LIKE, FAMILIES, SIDE, V2_LIKE


@pytest.fixture(scope="module", params=FAMILIES)
def weights(request, tmp_path_factory):
    """A file of a small network that goes by the variant's name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, request.param, FAMILIES[request.param])
        path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
        yield colour_checkpoint(path, request.param, SIDE)


@pytest.fixture(scope="module")
def made(weights, small_data, tmp_path_factory):
    return quantize(
        weights.stem,
        weights=weights,
        data=small_data,
        calibration=16,
        max_drop=40,
        out=tmp_path_factory.mktemp("made") / weights.stem,
    )


def test_there_is_a_verdict_on_one_delegate_that_check_repeats(made, small_data):
    outcome = made.outcome
    assert outcome.passed and outcome.variant == made.folder.name
    assert (outcome.delegation.partitions, outcome.delegation.left) == (1, 0)
    assert outcome.float_accuracy.top1 > 0.8  # a network that sees nothing could lose nothing
    assert outcome.pte.agreement > 0.8 and outcome.pte.sqnr_db > 10
    assert check(made.folder, data=small_data).pte_accuracy == outcome.pte_accuracy


def test_every_layer_is_analysed(made):
    layers = json.loads((made.folder / "layers.json").read_text())
    # A clamp and the convolution that runs it are one, under the clamp's name.
    analysed = {layer["layer"].removesuffix(".conv").removesuffix(".activation") for layer in layers}
    with torch.device("meta"):
        network = EfficientNet.from_name(FAMILIES[made.folder.name])
    convolutions = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Conv2d)]
    assert {name.removesuffix(".conv") for name in convolutions} | {"classifier"} <= analysed


def test_a_float_stem_is_the_first_two_convolutions_in_the_same_delegate(weights, small_data, tmp_path):
    outcome = quantize(
        weights.stem, weights=weights, data=small_data, calibration=16, recipe="int8-float-stem", out=tmp_path / "out"
    ).outcome
    assert (outcome.delegation.partitions, outcome.delegation.left) == (1, 0)
    first = {"v2-s": "stages.0.0.filter", "es": "stages.0.0.expand"}
    assert [layer.layer for layer in outcome.float_layers] == ["stem", first[weights.stem]]
    assert outcome.pte.sqnr_db > 10


def test_the_file_gives_the_network_back(weights):
    checkpoint = load_checkpoint(weights)
    assert (checkpoint.spec, checkpoint.notes) == (FAMILIES[weights.stem], ())
    assert checkpoint.model.activation == checkpoint.spec.activation


def graph_of(spec):
    model = EfficientNet.from_name(spec, num_classes=3).eval()
    return export_graph(fold_for_inference(model), SIDE)


def test_units_are_convolutions_with_what_belongs_to_them_and_additions():
    found = [unit.name for unit in units(graph_of(V2_LIKE))]
    assert len(set(found)) == len(found)
    assert {"stem", "stages.0.0.filter", "stages.0.0", "stages.1.0.expand", "stages.1.0.project"} <= set(found)
    assert len(convolution_units(graph_of(ES_LIKE))) == 1 + 4 * 2 + 2 * 3 + 1


def test_swish_of_fused_blocks_can_be_grouped_and_relu_never():
    graph = graph_of(V2_LIKE)
    kernels = Counter(
        tuple(node.args[1].meta["val"].shape[2:]) for node in graph.graph.nodes if node.name in groupable(graph)
    )
    assert kernels[(3, 3)] == 2 and kernels[(1, 1)] >= 1
    # What a skip is added to behind its activation has other readers than convolutions.
    assert not any(node.name in equalizable(graph) for node in graph.graph.nodes if "filter" in node.name)
    assert groupable(graph_of(ES_LIKE)) == equalizable(graph_of(ES_LIKE)) == []


@pytest.mark.parametrize("spec", FAMILIES.values(), ids=lambda spec: spec.name)
def test_blocks_are_those_of_the_table(spec):
    blocks = [type(block) for block in EfficientNet.from_name(spec).stages.modules()]
    kinds = {"conv": ConvBlock, "fused": FusedMBConv, "mbconv": MBConv}
    assert Counter(b for b in blocks if b in kinds.values()) == Counter(
        kinds[stage.block] for stage in spec.stages for _ in range(stage.repeats)
    )


def test_a_stage_without_skips_has_none():
    spec = dataclasses.replace(ES_LIKE, name="mine")
    assert [block.has_skip for stage in spec.block_specs for block in stage] == [False] * 3 + [True] + [False, True]
