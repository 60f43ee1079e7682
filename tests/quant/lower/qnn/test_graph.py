"""What Qualcomm's compiler is handed: the numbers that were quantized, on the grids that it knows."""

import pytest
import torch
from torch import nn

from quant.graph.export import export_graph
from quant.graph.qdq import DEQUANTIZE, DEQUANTIZE_CHANNELS, QUANTIZE, constant_of
from quant.lower.qnn.graph import for_htp
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.ptq.convert import convert, observer_spec
from quant.ptq.quantizers import PLACEMENTS

aten = torch.ops.aten


class Tiny(nn.Module):
    """A SiLU, a clamp, a gate and a pooled classifier."""

    def __init__(self):
        super().__init__()
        self.stem, self.wide, self.gate = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.classifier = nn.Linear(8, 4)

    def forward(self, x):
        x = nn.functional.silu(self.stem(x))
        x = nn.functional.relu6(self.wide(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        return self.classifier(x.mean((2, 3)))


def converted(name, network=None):
    torch.manual_seed(0)
    network = (network or Tiny()).eval()
    inputs = [torch.randn(8, 3, 16, 16)]
    graph = export_graph(network, 16)
    placement = PLACEMENTS[name]
    spec = observer_spec("minmax", placement.bits)
    return network, convert(graph, spec, frozenset(), inputs, placement=placement), inputs[0]


@pytest.mark.parametrize(("name", "dtype", "most"), [("htp", torch.uint8, 255), ("htp-16", torch.int32, 65535)])
def test_grids_are_unsigned_and_stand_behind_every_operator(name, dtype, most):
    _, graph, _ = converted(name)
    handed = for_htp(graph).graph
    pairs = [node for node in handed.nodes if node.target in (QUANTIZE, DEQUANTIZE)]
    assert {(node.args[3], node.args[4], node.args[5]) for node in pairs} == {(0, most, dtype)}
    for node in handed.nodes:
        if node.target in (aten.conv2d.default, aten.linear.default, aten.sigmoid.default, aten.mul.Tensor):
            assert [user.target for user in node.users] == [QUANTIZE], node
        if node.target in (aten.conv2d.default, aten.linear.default):
            assert node.args[2].target is DEQUANTIZE_CHANNELS and node.args[2].args[6] is torch.int32


@pytest.mark.parametrize("name", ["htp", "htp-16"])
def test_the_numbers_stay_what_they_were(name):
    network, graph, x = converted(name)
    with torch.no_grad():
        simulated, handed = simulation_of(graph, "htp").module(x), for_htp(graph)(x)
        assert sqnr_db(network(x), simulated) > (60 if name == "htp-16" else 20)
        # The gate inside the SiLU is rounded here, where the compiler fuses it away.
        assert sqnr_db(simulated, handed) > (60 if name == "htp-16" else 25)


def test_nothing_is_rounded_between_a_silus_sigmoid_and_its_product():
    _, graph, _ = converted("htp")
    gates = [node for node in graph.graph.nodes if node.target is aten.sigmoid.default]
    assert [[user.target for user in gate.users] for gate in gates] == [[aten.mul.Tensor], [QUANTIZE]]


def test_the_bias_of_a_nearly_dead_channel_fits_its_int32():
    """The defect of the stock 16-bit flow: steps of 1e-13 for weights of next to nothing, and a bias of many."""
    network = Tiny()
    with torch.no_grad():
        network.stem.weight[0] *= 1e-9
        network.stem.bias[0] = 3.0
    network, graph, x = converted("htp-16", network)
    handed = for_htp(graph)
    stem = next(node for node in handed.graph.nodes if node.target is aten.conv2d.default)
    steps, scales = (constant_of(handed, stem.args[2].args[i]) for i in (0, 1))
    assert (steps * scales)[0].item() == pytest.approx(3.0, rel=1e-3)
    with torch.no_grad():
        assert sqnr_db(network(x), handed(x)) > 50
