"""Equalization through SiLU changes nothing in float and narrows what channels share in int8."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quant.graph.export import export_graph
from quant.graph.fallback_units import units
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.ptq.convert import convert
from quant.ptq.equalize import GATE_SUFFIX, equalizable, equalize
from quant.recipes import RECIPES
from tests.support.exports import exported
from tests.support.networks import assert_same_outputs, images
from tests.support.ptq import activation_specs

SIZE = 64


class _Uneven(nn.Module):
    """Four channels of very different range behind one SiLU, each of which the output needs as much."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.last = nn.Conv2d(4, 2, 1)
        generator = torch.Generator().manual_seed(0)
        gain = torch.tensor([100.0, 20.0, 4.0, 1.0])
        with torch.no_grad():
            self.first.weight.copy_(torch.randn(4, 3, 1, 1, generator=generator) * gain.view(-1, 1, 1, 1))
            self.depthwise.weight.copy_(torch.rand(4, 1, 3, 3, generator=generator) / gain.view(-1, 1, 1, 1))

    def forward(self, x):
        hidden = nn.functional.silu(self.first(x))
        return self.last(self.depthwise(hidden)).mean((2, 3), keepdim=True).flatten(1)


@pytest.mark.parametrize("variant", ["b0", "lite0"])
def test_float_outputs_stay(variant):
    # Double precision: a random network makes thousandths of the roundings of float32.
    swish = {"activation": "swish"} if variant == "lite0" else {}
    graph = exported(variant, SIZE, padding="symmetric", **swish).double()
    names = equalizable(graph)
    assert len(names) > 10
    x = images(4, SIZE, seed=1).double()
    equalized = equalize(graph, names, [images(4, SIZE).double()], seed=0, plain_share=1e-6)
    with torch.no_grad():
        assert_same_outputs(equalized(x), graph(x))
        assert not torch.equal(equalized(x), graph(x))


def test_the_given_graph_is_left_alone():
    graph = exported("b0", SIZE, padding="symmetric")
    before = str(graph.graph)
    equalize(graph, equalizable(graph)[:1], [images(2, SIZE)], seed=0, plain_share=1e-6)
    assert str(graph.graph) == before


def test_depthwise_and_squeeze_excite_are_left_out():
    graph = exported("b0", SIZE, padding="symmetric")
    shapes = {
        n.name: n.args[1].meta["val"].shape for n in graph.graph.nodes if str(n.target) == "aten.conv2d.default"
    }
    for name in equalizable(graph):
        assert shapes[name][1] > 1 and shapes[name][0] >= 32


@pytest.mark.parametrize("activation", ["hardswish", "relu6"])
def test_other_activations_have_nothing_to_equalize(activation):
    assert equalizable(exported("b0", SIZE, padding="symmetric", activation=activation)) == []


def test_a_gate_stays_in_the_layer_it_is_of():
    graph = exported("b0", SIZE, padding="symmetric")
    names = [unit.name for unit in units(graph)]
    equalized = equalize(graph, equalizable(graph)[:2], [images(2, SIZE)], seed=0, plain_share=1e-6)
    assert [unit.name for unit in units(equalized)] == names
    stem = units(equalized)[0]
    assert [node.name for node in stem.nodes if node.name.endswith(GATE_SUFFIX)] == [
        f"{stem.nodes[0].name}{GATE_SUFFIX}"
    ]


def test_int8_loses_less_where_ranges_differ():
    graph = export_graph(_Uneven().eval(), 16)
    x = [torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(1))]

    def loss(module):
        specs = activation_specs(module, x, RECIPES["int8-strict"])
        simulation = simulation_of(convert(module, specs, frozenset(), x)).module
        with torch.no_grad():
            return sqnr_db(graph(x[0]), simulation(x[0]))

    assert loss(equalize(graph, equalizable(graph), x, seed=0, plain_share=1e-6)) > loss(graph) + 3.0
