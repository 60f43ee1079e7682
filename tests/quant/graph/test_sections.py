"""A pass back in sections finds what one pass does, with less memory at a time."""

from __future__ import annotations

import pytest

from quant.analysis.layers import analyze
from quant.graph import gradients, memory
from quant.ptq.convert import convert, fixed_specs
from quant.ptq.quantizers import activations_of
from quant.ptq.ranges import channel_ranges, find_ranges
from tests.support.exports import exported
from tests.support.networks import images

SIZE = 64


@pytest.fixture(scope="module")
def graph():
    return exported("b0", SIZE)


@pytest.fixture
def in_sections(graph, monkeypatch):
    """Memory for a quarter of one image."""
    total = 4 * sum(memory._sizes(graph).values())
    monkeypatch.setattr(memory, "_BACKWARD_BYTES", total / 4)


def test_every_node_is_in_one_section_which_reads_one_tensor_of_earlier_ones(graph, in_sections):
    parts = memory.backward_sections(graph)
    assert len(parts) == 4
    assert [n for part in parts for n in part.nodes] == [n for n in graph.graph.nodes if n.op != "get_attr"]
    sizes = memory._sizes(graph)
    for before, part in zip([None, *parts], parts, strict=False):
        assert part.reads is (None if before is None else before.nodes[-1])
        read = {n for node in part.nodes for n in node.all_input_nodes if n.op != "get_attr"}
        assert read - set(part.nodes) <= {part.reads}
        # The first stages' blocks are large: a cut comes at most one behind where it is due.
        assert sum(sizes.get(node, 0) for node in part.nodes) < 0.45 * sum(sizes.values())


def test_a_network_that_fits_is_one_section(graph):
    (part,) = memory.backward_sections(graph)
    assert part.reads is None


def found(graph):
    inputs = [images(3, SIZE)]
    names = activations_of(graph, frozenset())
    ranges = find_ranges(graph, names, inputs, seed=0)
    channels = channel_ranges(graph, [n for n in names if n.startswith("conv2d")][:3], inputs, seed=0)
    reports = analyze(graph, convert(graph, fixed_specs(ranges), frozenset(), inputs), inputs)
    return ranges, channels, reports


def test_ranges_and_analysis_are_those_of_one_pass(graph, request, monkeypatch):
    monkeypatch.setattr(gradients, "backward_batch", lambda _: 1)
    ranges, channels, reports = found(graph)
    request.getfixturevalue("in_sections")
    assert len(memory.backward_sections(graph)) == 4
    again = found(graph)
    assert again[0] == ranges
    assert again[2] == reports
    for name in channels:
        assert again[1][name].high.equal(channels[name].high) and again[1][name].weight.equal(channels[name].weight)
