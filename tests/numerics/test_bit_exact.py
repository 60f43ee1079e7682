"""The simulation is the runtime, to the bit; a float program is the float network, up to rounding."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from quant.graph.qdq import TensorScale, quantize_bias
from quant.lower.xnnpack import arithmetic
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.qat.kernels import gate_corrections, gate_steps
from tests.support.exports import exported
from tests.support.families import ES_LIKE, V2_LIKE
from tests.support.networks import images
from tests.support.ptq import quantized
from tests.support.warm import run_program

SIZE = 64

# variant, activation, padding: each brings operators that the others lack.
NETWORKS = [
    ("b0", "swish", "symmetric"),
    ("b0", "hardswish", "same"),
    ("lite0", "relu6", "same"),
    ("lite0", "relu", "symmetric"),
    (V2_LIKE, "swish", "same"),
    (V2_LIKE, "hardswish", "symmetric"),
    (ES_LIKE, "relu", "same"),
]


@pytest.mark.parametrize(("variant", "activation", "padding"), NETWORKS)
def test_simulation_equals_program_bit_for_bit(tmp_path, variant, activation, padding):
    graph = exported(variant, SIZE, activation=activation, padding=padding)
    inputs, seen = images(4, SIZE, seed=1), images(4, SIZE, seed=2)
    converted = quantized(graph, [seen], "int8-minmax").converted
    lowered = lower_xnnpack(converted, (1, 3, SIZE, SIZE))
    found = run_program(tmp_path, lowered.data, inputs)
    with torch.no_grad():
        expected = simulation_of(converted).module(inputs)
    assert found.std(dim=0).mean() > 0, "the outputs have to depend on the images"
    assert torch.equal(found, expected)


@pytest.mark.parametrize("recipe", ["int8-fast", "int8-groups", "int8-strict"])
@pytest.mark.parametrize("spec", [V2_LIKE, ES_LIKE], ids=lambda spec: spec.name)
def test_fused_blocks_are_exact_whatever_is_done_to_their_channels(tmp_path, spec, recipe):
    graph = exported(spec, SIZE, activation=spec.activation, padding="same")
    inputs, seen = images(4, SIZE, seed=1), images(4, SIZE, seed=2)
    converted = quantized(graph, [seen], recipe).converted
    lowered = lower_xnnpack(converted, (1, 3, SIZE, SIZE))
    assert (lowered.delegation.partitions, lowered.delegation.left) == (1, 0)
    found = run_program(tmp_path, lowered.data, inputs)
    with torch.no_grad():
        assert torch.equal(found, simulation_of(converted).module(inputs))


@pytest.mark.parametrize(("variant", "activation", "padding"), NETWORKS)
def test_float_program_equals_network(tmp_path, variant, activation, padding):
    graph = exported(variant, SIZE, activation=activation, padding=padding)
    inputs = images(3, SIZE, seed=1)
    lowered = lower_xnnpack(graph, (1, 3, SIZE, SIZE))
    with torch.no_grad():
        expected = graph(inputs)
    assert sqnr_db(expected, run_program(tmp_path, lowered.data, inputs)) > 70
    assert lowered.delegation.partitions == 1
    assert lowered.delegation.left == 0


def test_float_layers_share_the_delegate(tmp_path):
    graph = exported("b0", SIZE, activation="swish", padding="same")
    inputs, seen = images(4, SIZE, seed=1), images(4, SIZE, seed=2)
    converted = quantized(graph, [seen], "int8").converted
    lowered = lower_xnnpack(converted, (1, 3, SIZE, SIZE))
    found = run_program(tmp_path, lowered.data, inputs)
    with torch.no_grad():
        expected = simulation_of(converted).module(inputs)
    assert lowered.delegation.partitions == 1
    # Float layers round by their own kernels, and int8 layers behind them pass each difference on.
    assert sqnr_db(expected, found) > 15


def test_same_graph_lowers_to_same_bytes():
    graph = exported("lite0", SIZE, activation="relu6", padding="same")
    first, second = (lower_xnnpack(graph, (1, 3, SIZE, SIZE)).data for _ in range(2))
    assert first == second


def test_sigmoids_table_is_the_runtimes_where_float32_rounds_the_other_way():
    """Found at scale 0.0402: 253.49998 steps, of which torch's float32 sigmoid makes 253.5 and rounds to 254."""
    scale, zero_point = 0.040165793150663376, -38
    found = arithmetic.table_of(arithmetic.logistic, TensorScale(scale, zero_point), TensorScale(1 / 256, -128))
    assert found[77 + 128] == 253 - 128
    v = torch.arange(-128.0, 128.0) - zero_point
    step = torch.tensor(scale)
    assert torch.equal(gate_steps(v, step, gate_corrections(step)), found + 128)


def test_the_fast_sigmoid_is_the_table_wherever_a_number_lies():
    """Found at scale 0.00904: -125 is 62 steps of a vector's sigmoid and of the table, and 63 where it is alone."""
    step = torch.tensor(0.009040887467563152)
    v = torch.arange(-255.0, 256.0)
    table = (arithmetic.logistic(v * step) * 256).round().clamp(max=255)
    alone = torch.cat([gate_steps(number, step, gate_corrections(step)) for number in v.split(1)])
    assert torch.equal(gate_steps(v, step, gate_corrections(step)), table)
    assert torch.equal(alone, table)


@pytest.mark.parametrize("groups", [1, 8])
def test_channels_of_tiny_weights_and_large_biases_are_exact(groups):
    """Found on the real B0 with ranges by min and max: biases of 2**25 steps, of which float32 kept 24 bits."""
    generator = torch.Generator().manual_seed(0)
    q = torch.randint(0, 7, (2, 8, 9, 9), generator=generator).float()
    weight = torch.randint(-3, 4, (8, 8 // groups, 3, 3), generator=generator).float()
    bias = quantize_bias(torch.full((8,), 0.9), 0.02, torch.full((8,), 1e-6)).float()
    assert bias.min() > 2**25 and bias.max() == bias.min()
    geometry = ((1, 1), (1, 1), (1, 1), groups)
    scale, zero = torch.ones(8, 1, 1), -int(bias[0])
    found = arithmetic.weighted_layer(q, weight, bias, scale, 3, zero, (-128, 127), geometry)
    sums = F.conv2d((q - 3).double(), weight.double(), bias.double(), *geometry)
    assert torch.equal(found, arithmetic.requantize(sums.float(), scale, zero, (-128, 127)))
    assert len(found.unique()) > 10


def test_biases_are_whole_numbers_that_float32_has_and_leave_room_for_the_products():
    bias = quantize_bias(torch.tensor([0.9, -0.9, 1e6]), 0.02, torch.full((3,), 1e-6))
    assert torch.equal(bias.float().double(), bias.double())
    assert bias.dtype == torch.int32 and bias.max() == 2**30
