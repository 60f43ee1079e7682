"""Vulkan's int8: convolutions and additions, with the clamp as the end of the grid; structure read back."""

import pytest
import torch
from torch import nn

from quant.graph.qdq import CLAMP_RANGES, is_weight
from quant.lower.backend import Source
from quant.lower.table import BACKENDS
from quant.lower.vulkan import _int8_facts, without_spare_clamps
from quant.program.inspect import inspect_program
from tests.quant.lower.qnn.test_graph import Tiny, converted

aten = torch.ops.aten


class Lite(nn.Module):
    """Convolutions with ReLU6, an addition, a classifier."""

    def __init__(self):
        super().__init__()
        self.stem, self.deep, self.out = (
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8),
            nn.Conv2d(8, 8, 1),
        )
        self.classifier = nn.Linear(8, 4)
        self.stem.weight.data *= 8.0  # some values reach 6

    def forward(self, x):
        x = nn.functional.relu6(self.stem(x))
        x = x + self.out(nn.functional.relu6(self.deep(x)))
        return self.classifier(x.mean((2, 3), keepdim=True).flatten(1))


@pytest.fixture(scope="module")
def lite():
    return converted("vulkan", Lite())


@pytest.fixture(scope="module")
def lowered(lite, tmp_path_factory):
    program = BACKENDS["vulkan"].lower(Source(graph=lite[1], precision="int8", input_shape=(1, 3, 16, 16)))
    path = tmp_path_factory.mktemp("vulkan") / "model.pte"
    path.write_bytes(program.data)
    return program, path


def test_the_classifier_and_what_vulkan_has_no_int8_kernel_for_stay_in_float():
    _, graph, _ = converted("vulkan", Tiny())
    nodes = list(graph.graph.nodes)
    assert all(is_weight(node.args[1]) for node in nodes if node.target is aten.conv2d.default)
    assert not any(is_weight(node.args[1]) for node in nodes if node.target is aten.linear.default)
    gates = [node for node in nodes if node.target is aten.sigmoid.default]
    assert [[user.target for user in gate.users] for gate in gates] == [[aten.mul.Tensor]] * 2


def test_a_clamp_that_is_the_grids_end_leaves_and_nothing_changes(lite):
    _, graph, x = lite
    without = without_spare_clamps(graph)
    assert any(node.target in CLAMP_RANGES for node in graph.graph.nodes)
    assert not any(node.target in CLAMP_RANGES for node in without.graph.nodes)
    with torch.no_grad():
        assert torch.equal(graph(x), without(x))


def test_a_relu6_network_is_int8_up_to_its_pooling(lowered):
    program, _ = lowered
    assert program.delegation.partitions == 1 and not program.leftovers
    assert "in int8 1 q8ta_add, 1 q8ta_conv2d, 1 q8ta_conv2d_dw, 1 q8ta_conv2d_pw" in program.facts[1]
    assert "1 linear, 1 mean" in program.facts[2]


def test_inspect_names_the_operators_and_the_reports_on_adreno(lowered):
    inspection = inspect_program(lowered[1])
    (delegate,) = inspection.methods[0].delegates
    assert delegate.operators["et_vk.q8ta_add.default"] == 1 and not delegate.note
    assert any("#21939" in note for note in inspection.linking)


def test_a_program_with_fewer_int8_operators_than_its_graph_is_refused(lite):
    with pytest.raises(ValueError, match="4 convolutions and additions are int8 in the graph"):
        _int8_facts({"et_vk.q8ta_conv2d.default": 2}, lite[1])


def test_executorch_looks_for_its_patterns_again_afterwards(lowered):
    from executorch.backends.vulkan.patterns import fusable_patterns

    looked_for = [pattern.get_graphs_fn for pattern in fusable_patterns.values() if pattern.get_graphs_fn]
    assert looked_for and list not in looked_for
