"""A gate repeated along the width gives the same program's numbers with fewer calls."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from quant.graph.export import export_graph
from quant.lower.xnnpack import gates
from quant.lower.xnnpack.delegate import MOST_PARTS, DelegateBuilder
from quant.lower.xnnpack.lower import lower_xnnpack
from tests.support.networks import images
from tests.support.ptq import quantized
from tests.support.warm import run_program

CHANNELS = 3


class Gated(nn.Module):
    """Every channel times what a layer makes of all channels' means."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.mix(x)
        return wide * torch.sigmoid(self.mix(wide.mean((2, 3), keepdim=True)))


def _widths(builder, node):
    """What a tensor is made of, as positions of the gate."""
    made = {one.xnode_union.output_id: one.xnode_union for one in builder.nodes}
    if node not in made:
        return 1
    one = made[node]
    parts = [getattr(one, f"input{i + 1}_id") for i in range(MOST_PARTS)]
    return sum(_widths(builder, part) for part in parts if part < len(builder.values))


def test_every_width_is_reached_and_in_few_steps():
    for width in range(2, 401):
        builder = DelegateBuilder()
        gate = builder.tensor((1, 1, 1, 8), None)
        wide = gates.widened(builder, gate, (1, 1, 1, 8), (1, 1000, width, 8), None)
        assert _widths(builder, wide) == width
        assert builder.values[wide].xvalue_union.dims == [1, 1, width, 8]
        assert len(builder.nodes) <= 8


@pytest.mark.parametrize(
    ("shape", "image"),
    [((1, 1, 1, 8), (1, 14, 14, 8)), ((1, 1, 1, 1), (1, 56, 56, 8)), ((1, 56, 56, 8), (1, 56, 56, 8)), ((8,), (8,))],
    ids=["few calls", "one number", "as large", "no image"],
)
def test_nothing_is_repeated_that_saves_no_calls(shape, image):
    builder = DelegateBuilder()
    value = builder.tensor(shape, None)
    assert gates.widened(builder, value, shape, image, None) == value
    assert not builder.nodes


@pytest.mark.parametrize("precision", ["int8", "fp32", "fp16"])
def test_the_numbers_stay_the_same(tmp_path, monkeypatch, precision):
    side = 33
    torch.manual_seed(0)
    graph, seen = export_graph(Gated().eval(), side, CHANNELS), images(4, side)
    if precision == "int8":
        graph = quantized(graph, [seen], "int8-minmax").converted
    found, sizes = [], []
    for least in (10**9, gates.LEAST_CALLS):
        monkeypatch.setattr(gates, "LEAST_CALLS", least)
        program = lower_xnnpack(graph, (1, CHANNELS, side, side), half=precision == "fp16")
        found.append(run_program(tmp_path, program.data, images(2, side, seed=3)))
        sizes.append(len(program.data))
    narrow, wide = found
    assert narrow.std() > 0
    assert torch.equal(narrow, wide)
    assert sizes[0] < sizes[1]
