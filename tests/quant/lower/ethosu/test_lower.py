"""What executorch's Arm package is handed, and what is refused before and after it has seen a network."""

import re

import pytest
import torch

from edge_effnet.errors import InputError
from quant.graph.qdq import DEQUANTIZE_CHANNELS, following_quantize, tensor_scale
from quant.lower.ethosu.graph import for_tosa, prepare
from quant.lower.ethosu.lower import _require_whole
from quant.lower.xnnpack.simulator import simulation_of
from quant.program import ethosu_library
from tests.quant.lower.qnn.test_graph import converted

aten = torch.ops.aten


def targets(graph):
    return [node.target for node in graph.nodes if node.op == "call_function"]


def test_a_silu_is_one_operator_and_every_bias_whole_numbers():
    _, graph, x = converted("htp")
    handed = for_tosa(graph)
    assert targets(handed.graph).count(aten.silu.default) == 1
    assert targets(handed.graph).count(aten.sigmoid.default) == 1  # the gate's
    for node in handed.graph.nodes:
        if node.target in (aten.conv2d.default, aten.linear.default):
            assert node.args[2].target is DEQUANTIZE_CHANNELS and node.args[2].args[6] is torch.int32
            assert following_quantize(node) is not None
    with torch.no_grad():
        assert torch.equal(handed(x), simulation_of(graph, "htp").module(x))


def test_a_mean_is_a_sum_on_a_grid_as_many_times_wider():
    _, graph, x = converted("htp")
    exported = torch.export.export(for_tosa(graph), (torch.zeros(1, *x.shape[1:]),), strict=False)
    means = [node for node in exported.graph.nodes if node.target is aten.mean.dim]
    before = [tensor_scale(following_quantize(node)) for node in means]
    prepare(exported)
    assert len(means) == 2 and aten.mean.dim not in targets(exported.graph)
    for node, grid in zip(means, before, strict=True):
        after = tensor_scale(following_quantize(node))
        assert after.scale == pytest.approx(grid.scale * 64) and after.zero_point == grid.zero_point
        assert node.meta["custom"] == {"_arm_annotation_info": {"quantized": True}}


def test_an_operator_that_the_npu_lacks_is_named_with_what_takes_its_place():
    answer = {
        "leftovers": [{"node": "s", "operator": "aten.softmax.int", "reason": ""}],
        "delegation": {"partitions": 1},
        "border": {"input": [1, 0], "output": [1, 0]},
    }
    with pytest.raises(
        InputError, match=r"lacks aten\.softmax\.int; portable kernels on the processor would take its"
    ):
        _require_whole("ethos-u:u55-128", answer)
    with pytest.raises(InputError, match="takes no whole network"):
        _require_whole("ethos-u:u55-128", answer | {"leftovers": [], "delegation": {"partitions": 2}})
    _require_whole("ethos-u:u55-128", answer | {"leftovers": []})


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ({}, "ethos-u-vela is not here: in a clone, python -m venv npu && npu/bin/pip install '..ethos-u.'"),
        ({"ethos-u-vela": "5.1.0"}, "tosa-tools is not here"),
        ({"ethos-u-vela": "4.2.0"}, r"ethos-u-vela 4.2.0 was not tried with executorch 1.4.1 \(tried: 5.1.0\)"),
    ],
)
def test_tools_that_are_missing_or_unknown_are_a_sentence(monkeypatch, versions, sentence):
    def version(package):
        if package not in versions:
            raise ethosu_library.PackageNotFoundError
        return versions[package]

    monkeypatch.setattr(ethosu_library, "version", version)
    assert re.search(sentence, ethosu_library.missing())


def test_the_tools_that_were_tried_are_taken(monkeypatch):
    monkeypatch.setattr(ethosu_library, "version", ethosu_library.TRIED.__getitem__)
    assert ethosu_library.missing() is None
