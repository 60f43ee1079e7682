"""Channel groups change nothing in float, and keep narrow channels from sharing a wide one's scale."""

import pytest
import torch

from edge_effnet import EfficientNet
from edge_effnet.fuse import fold_for_inference
from quant.graph.export import export_graph
from quant.ptq.channel_groups import TILE, group_channels, groupable, split_channels
from quant.ptq.ranges import ChannelRanges
from tests.support.networks import assert_same_outputs, images, trained_looking

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE = 64


def exported(variant, **settings):
    model = EfficientNet.from_name(variant, num_classes=5, image_size=SIZE, **settings)
    return export_graph(fold_for_inference(trained_looking(model, image_size=SIZE), SIZE), SIZE)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_float_outputs_stay(padding):
    # Double precision: a random network makes thousandths of the roundings of float32.
    graph = exported("b0", padding=padding).double()
    names = groupable(graph)
    assert len(names) == 16  # stem and 15 expansions; the head's channels end in the classifier
    x = images(4, SIZE, seed=1).double()
    split = split_channels(graph, names, [images(4, SIZE).double()], seed=0, plain_share=1e-4)
    with torch.no_grad():
        assert_same_outputs(split(x), graph(x))
    convolutions = [sum(n.target is torch.ops.aten.conv2d.default for n in g.graph.nodes) for g in (graph, split)]
    assert convolutions[1] == convolutions[0] + 16 * 5  # expansion, depthwise, two of squeeze-excite, projection


def test_groups_part_narrow_from_wide_channels_in_whole_tiles():
    highs = torch.full((48,), 5.0)
    highs[[3, 40]] = 60.0
    narrow, wide = group_channels(ChannelRanges(highs, torch.full((48,), 1 / 48))).groups
    assert (len(narrow), len(wide)) == (48 - TILE, TILE)
    assert {3, 40} <= set(wide.tolist())
    assert sorted([*narrow.tolist(), *wide.tolist()]) == list(range(48))


def test_groups_are_parted_where_the_logits_look():
    # Most of the weight lies on the narrowest third: the middle ones go with the wide ones, although they are many.
    highs = torch.tensor([5.0] * TILE + [30.0] * 4 * TILE + [60.0] * TILE)
    weight = torch.tensor([0.95 / TILE] * TILE + [0.05 / (5 * TILE)] * 5 * TILE, dtype=torch.float64)
    narrow, wide = group_channels(ChannelRanges(highs, weight)).groups
    assert (len(narrow), len(wide)) == (TILE, 5 * TILE)
    narrow, wide = group_channels(ChannelRanges(highs, torch.full((6 * TILE,), 1 / (6 * TILE)))).groups
    assert (len(narrow), len(wide)) == (5 * TILE, TILE)


def test_layers_are_split_where_it_gains_most():
    graph = exported("b0")
    names = groupable(graph)
    seen = [images(4, SIZE)]
    one, two = (split_channels(graph, names, seen, seed=0, plain_share=1e-4, most=most) for most in (1, 2))
    first, both = ({n.name for n in g.graph.nodes} - {n.name for n in graph.graph.nodes} for g in (one, two))
    assert first and first < both


def test_what_has_no_silu_is_left_alone():
    assert groupable(exported("lite0")) == []
