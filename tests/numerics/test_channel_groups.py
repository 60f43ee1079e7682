"""Channel groups change nothing in float, and keep narrow channels from sharing a wide one's scale."""

import pytest
import torch

from edge_effnet import EfficientNet
from edge_effnet.fuse import fold_for_inference
from quant.graph.export import export_graph
from quant.graph.instructions import instructions
from quant.ptq.channel_groups import TILE, Split, choose, group_channels, groupable, split_channels
from quant.ptq.ranges import ChannelRanges
from tests.support.exports import exported
from tests.support.networks import assert_same_outputs, images

SIZE = 64


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_float_outputs_stay(padding):
    # Double precision: a random network makes thousandths of the roundings of float32.
    graph = exported("b0", SIZE, padding=padding).double()
    names = groupable(graph)
    assert len(names) == 16  # stem and 15 expansions; the head's channels end in the classifier
    x = images(4, SIZE, seed=1).double()
    split = split_channels(
        graph, names, [images(4, SIZE).double()], seed=0, plain_share=1e-4, budget=1.0, file_share=1.0
    )
    with torch.no_grad():
        assert_same_outputs(split(x), graph(x))
    convolutions = [sum(n.target is torch.ops.aten.conv2d.default for n in g.graph.nodes) for g in (graph, split)]
    assert convolutions[1] == convolutions[0] + 16 * 5  # expansion, depthwise, two of squeeze-excite, projection


def ranges(highs, weight=None):
    return ChannelRanges(highs, torch.full((len(highs),), 1 / len(highs)) if weight is None else weight)


def test_groups_part_narrow_from_wide_channels_in_whole_tiles():
    highs = torch.full((48,), 5.0)
    highs[[3, 40]] = 60.0
    narrow, wide = group_channels([ranges(highs)]).groups
    assert (len(narrow), len(wide)) == (48 - TILE, TILE)
    assert {3, 40} <= set(wide.tolist())
    assert sorted([*narrow.tolist(), *wide.tolist()]) == list(range(48))


def test_groups_are_parted_where_the_logits_look():
    # Most of the weight lies on the narrowest third: the middle ones go with the wide ones, although they are many.
    highs = torch.tensor([5.0] * TILE + [30.0] * 4 * TILE + [60.0] * TILE)
    weight = torch.tensor([0.95 / TILE] * TILE + [0.05 / (5 * TILE)] * 5 * TILE, dtype=torch.float64)
    narrow, wide = group_channels([ranges(highs, weight)]).groups
    assert (len(narrow), len(wide)) == (TILE, 5 * TILE)
    narrow, wide = group_channels([ranges(highs)]).groups
    assert (len(narrow), len(wide)) == (5 * TILE, TILE)


def test_groups_serve_all_tensors_of_a_block():
    # One tensor has its wide channels first, the other next: together they leave the narrow ones alone.
    first, second = torch.full((8 * TILE,), 5.0), torch.full((8 * TILE,), 5.0)
    first[:TILE], second[TILE : 2 * TILE] = 60.0, 60.0
    split = group_channels([ranges(first), ranges(second)])
    assert split.groups[1].tolist() == list(range(2 * TILE))


def test_the_budget_goes_where_it_buys_most():
    groups = (torch.arange(1), torch.arange(1))
    splits = {"dear": Split(groups, 8.0), "cheap": Split(groups, 2.0), "large": Split(groups, 1.0)}

    def chosen(budget, file):
        costs = {"dear": (5 / budget, 1 / file), "cheap": (1 / budget, 1 / file), "large": (1 / budget, 4 / file)}
        return set(choose(splits, costs))

    assert chosen(0.5, 9) == set() and chosen(1, 9) == {"cheap"} and chosen(6, 5) == {"cheap", "dear"}
    assert chosen(7, 6) == {"cheap", "dear", "large"}


def test_more_budget_keeps_what_less_of_it_bought():
    graph = exported("b0", SIZE)
    names = groupable(graph)
    seen = [images(4, SIZE)]
    one, two = (
        split_channels(graph, names, seen, seed=0, plain_share=1e-4, budget=b, file_share=1.0) for b in (0.02, 0.2)
    )
    first, both = ({n.name for n in g.graph.nodes} - {n.name for n in graph.graph.nodes} for g in (one, two))
    assert first and first < both


def test_instructions_are_those_that_were_counted():
    """`int8-fast` on a cortex-a76 under qemu, `benchmarks/results/front-real-b0.md`."""
    model = EfficientNet.from_name("b0", padding="symmetric")
    graph = export_graph(fold_for_inference(model), model.image_size)
    assert instructions(graph) == pytest.approx(76.2e6, rel=0.03)


def test_what_has_no_silu_is_left_alone():
    assert groupable(exported("lite0", SIZE)) == []
