"""A graph over a whole calibration set: what a layer reads is there, and nothing that no later layer reads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quant.graph.chunked_run import ChunkedRun, sampled
from quant.graph.export import export_graph
from quant.graph.qdq import WEIGHTED


class _Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.expand, self.project = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x):
        h = nn.functional.silu(self.expand(x))
        return x + self.project(nn.functional.silu(self.depthwise(h)))


@pytest.fixture
def graph():
    torch.manual_seed(0)
    return export_graph(nn.Sequential(_Block(), _Block()).eval(), 6)


def advance_to(run, target):
    """Compute all nodes up to and including `target`."""
    if target in run._pending:
        run._run(run._pending.index(target) + 1)


class _Recorded(torch.fx.Interpreter):
    def run_node(self, n):
        self.results[n] = super().run_node(n)
        return self.results[n]


@torch.no_grad()
def test_chunks_are_what_the_graph_computes(graph):
    inputs = list(torch.randn(5, 3, 6, 6).split(2))
    recorded = _Recorded(graph)
    recorded.results = {}
    recorded.run(torch.cat(inputs))
    run = ChunkedRun(graph, inputs)
    for layer in (node for node in graph.graph.nodes if node.target in WEIGHTED):
        run.advance_before(layer)
        read, (source,) = run.chunks(layer.args[0]), [a for a in layer.all_input_nodes if a.op != "get_attr"]
        advance_to(run, layer)
        advance_to(run, source)  # passed already
        for found, node in ((read, source), (run.chunks(layer), layer)):
            assert [len(part) for part in found] == [2, 2, 1]
            assert torch.allclose(torch.cat(found).float(), recorded.results[node], atol=2e-3)


@torch.no_grad()
def test_only_what_later_layers_read_is_kept(graph):
    run = ChunkedRun(graph, [torch.randn(2, 3, 6, 6)])
    depthwise = [node for node in graph.graph.nodes if node.target in WEIGHTED][4]
    advance_to(run, depthwise)
    (alive,) = run._alive
    images = [node for node in alive if node.op != "get_attr"]
    assert [node.name for node in images] == ["add", depthwise.name]


@torch.no_grad()
def test_samples_wait_while_a_run_goes_on_to_where_least_is_kept(graph):
    inputs = list(torch.randn(3, 3, 6, 6).split(2))
    layers = [node for node in graph.graph.nodes if node.target in WEIGHTED]
    run, plain = ChunkedRun(graph, inputs, layers), ChunkedRun(graph, inputs)
    for layer in layers[:3]:
        advance_to(plain, layer)
        expected = [sampled(part) for part in plain.chunks(layer)]
        found = run.samples(layer)
        assert all(torch.allclose(a.float(), b, atol=5e-3) for a, b in zip(found, expected, strict=True))
        # A block's sum of 3 channels, not one of the 8 of its layers.
        assert [node.name for node in run._alive[0] if node.op != "get_attr"] == ["add"]


@torch.no_grad()
def test_numbers_beyond_float16_stay_float32(graph):
    run = ChunkedRun(graph, [torch.full((1, 3, 6, 6), 1e6)])
    layer = next(node for node in graph.graph.nodes if node.target in WEIGHTED)
    advance_to(run, layer)
    (found,) = run.chunks(layer)
    assert found.dtype is torch.float32 and found.isfinite().all()
