import torch
from torch import nn

from quant.analysis.fallback_cost import float_layers
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.graph.fallback_units import convolution_units, nodes_of
from quant.ptq.steps import Context, State, quantize_program
from quant.recipes import RECIPES
from tests.support.ptq import activation_specs


def test_layers_left_in_float_are_listed_with_who_decided_and_what_they_cost():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU6(), nn.Conv2d(8, 8, 1), nn.ReLU6()).eval()
    graph, inputs, recipe = export_graph(network, 16), [torch.randn(8, 3, 16, 16)], RECIPES["int8-fast"]
    floats = nodes_of(convolution_units(graph)[:1])
    activation = activation_specs(graph, inputs, recipe)
    context = Context(inputs=inputs, recipe=recipe, seed=0, progress=NoProgress())
    for chosen, expected in ((floats, ["0"]), (frozenset(), [])):
        made = quantize_program(State(graph=graph, float_nodes=chosen, activation={8: activation}), context)
        found = float_layers(made.reference, made.converted, reason="a test")
        assert [row.layer for row in found] == expected
        assert all(row.reason == "a test" and row.added_ms > 0 for row in found)
    assert float_layers(graph, graph, reason="a test") == ()
