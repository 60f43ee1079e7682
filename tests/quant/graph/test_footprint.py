"""What a network asks of a phone."""

from torch import nn

from quant.graph.export import export_graph
from quant.graph.footprint import Footprint, check_footprint, footprint

SMALL = Footprint(macs=400_000_000, activations=10_000_000)


def test_multiply_accumulates_and_memory_of_known_layers():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()
    found = footprint(export_graph(network, 16))
    assert found.macs == 16 * 16 * (8 * 27 + 4 * 8)
    assert found.activations == 4 * 16 * 16 * (8 + 8)  # convolution and ReLU together are the widest moment


def test_only_what_is_too_large_is_warned_about():
    assert check_footprint(SMALL, 16_000_000) == ()
    (found,) = check_footprint(Footprint(macs=37_000_000_000, activations=200_000_000), 260_000_000)
    assert all(part in found.message for part in ("37.0 G", "720 MB of RAM", "file of 260 MB"))
    (found,) = check_footprint(SMALL, 120_000_000)
    assert "MB of RAM" not in found.message and "multiply" not in found.message


def test_padding_and_pooling_cost_nothing_but_memory():
    found = footprint(export_graph(nn.Sequential(nn.ZeroPad2d(1), nn.ReLU()).eval(), 8))
    assert found.macs == 0 and found.activations > 0
