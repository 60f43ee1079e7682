"""Each accuracy method does what it is for."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import quant.ptq.ranges
from edge_effnet.errors import InputError
from quant.data.batches import first_images, later_images
from quant.graph.chunked_run import sampled
from quant.graph.export import SiluAtOnce, export_graph
from quant.graph.fallback_units import nodes_of, units
from quant.graph.gradients import Observer, run_both_ways
from quant.graph.qdq import DEQUANTIZE, QUANTIZE, constant_of
from quant.lower.xnnpack.emit import UnsupportedOperatorError
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.ptq.activation_swap import refit
from quant.ptq.convert import convert
from quant.ptq.quantizers import activations_of
from quant.ptq.ranges import find_ranges, scale_of
from quant.ptq.reconstruct import (
    _choose_scales,
    _forward,
    _Layer,
    _refit,
    _round_filters,
    _round_with_feedback,
    _rounded,
)
from quant.recipes import RECIPES, find_recipe
from tests.support.exports import exported
from tests.support.networks import images
from tests.support.ptq import activation_specs, quantized
from tests.support.warm import run_program

SIZE = 64
aten = torch.ops.aten


@pytest.fixture(scope="module")
def graph():
    return exported("b0", SIZE, padding="symmetric")


class _Swish(nn.Module):
    """What comes in below about -8 hardly reaches the output; what comes in above does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifted = x + 0.0
        return nn.functional.silu(shifted).mean((2, 3))


def test_backward_passes_leave_no_activation_behind():
    shown = []

    class Hooked(Observer):
        def run_node(self, n):
            result = super().run_node(n)
            if result.requires_grad:
                shown.append(weakref.ref(result))
                result.register_hook(lambda gradient: self and None)
            return result

    run_both_ways(Hooked(torch.fx.symbolic_trace(_Swish())), [torch.randn(4, 2, 8, 8)], seed=0)
    gc.collect()
    assert len(shown) > 2 and not any(tensor() is not None for tensor in shown)


def test_loss_aware_range_clips_what_the_logits_ignore():
    module = torch.fx.symbolic_trace(_Swish())
    values = 10.0 * torch.randn(8, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    ranges = find_ranges(module, ["add"], [values], seed=0)["add"]
    assert (ranges.seen_low, ranges.seen_high) == (values.min().item(), values.max().item())
    assert ranges.low > 0.7 * ranges.seen_low
    assert ranges.high > 0.9 * ranges.seen_high


def test_ranges_cover_images_that_are_only_run_forward(monkeypatch):
    monkeypatch.setattr(quant.ptq.ranges, "SENSITIVITY", 2)
    module = torch.fx.symbolic_trace(_Swish())
    values = torch.randn(6, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    values[0] *= 3  # grows the bins while they fill
    values[5, 0, 0, 0] = 40.0
    ranges = find_ranges(module, ["add"], [values[:4], values[4:]], seed=0)["add"]
    assert (ranges.seen_low, ranges.seen_high) == (values.min().item(), 40.0)
    assert 0.8 * values[:2].max() < ranges.high < 40.0


def test_logits_may_reach_further_than_those_seen(graph):
    """The top logit of an image that calibration never met decides its class."""
    inputs = [images(2, SIZE)]
    found = find_ranges(graph, activations_of(graph, frozenset()), inputs, seed=0)
    (logits,) = (found[name] for name in found if name.startswith("linear"))
    assert logits.low <= min(1.25 * logits.seen_low, 0.0) and logits.high >= max(1.25 * logits.seen_high, 0.0)


def test_silu_at_once_gives_what_its_two_operators_give(graph):
    inputs = images(2, SIZE)
    with torch.no_grad():
        assert sqnr_db(graph(inputs), SiluAtOnce(graph).run(inputs)) > 60


def test_silu_at_once_computes_a_gate_that_others_read():
    def shared(x: torch.Tensor) -> torch.Tensor:
        gate = torch.ops.aten.sigmoid.default(x)
        return torch.ops.aten.mul.Tensor(x, gate) + gate

    module, x = torch.fx.symbolic_trace(shared), torch.linspace(-3, 3, 7)
    torch.testing.assert_close(SiluAtOnce(module).run(x), shared(x))


def test_leading_and_later_images_are_all_of_them():
    batches = list(torch.arange(10).split(4))
    for count in (0, 1, 4, 6, 10, 99):
        parts = [*first_images(batches, count), *later_images(batches, count)]
        assert torch.cat(parts).tolist() == list(range(10))
        assert sum(map(len, first_images(batches, count))) == min(count, 10)


def test_scale_holds_zero_exactly():
    for low, high in ((0.5, 2.0), (-3.0, -1.0), (-1.0, 4.0), (0.0, 0.0)):
        scale = scale_of(low, high)
        assert -128 <= scale.zero_point <= 127
        assert scale.scale > 0
        assert (high - 0) / scale.scale + scale.zero_point <= 127.5 or high <= 0


class _Chain(nn.Module):
    """Pointwise and depthwise layers with an activation behind each, and a classifier."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layers = nn.ModuleList(
            nn.Conv2d(*shape, padding=shape[2] // 2, groups=groups)
            for shape, groups in (((3, 16, 1), 1), ((16, 16, 3), 16), ((16, 16, 1), 1), ((16, 16, 1), 1))
        )
        self.activation, self.classifier = activation, nn.Linear(16, 5)
        with torch.no_grad():
            for layer in (*self.layers, self.classifier):
                fan_in = layer.weight[0].numel()
                layer.weight.copy_(2.0 * torch.randn(layer.weight.shape, generator=generator) / fan_in**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.classifier(x.mean((2, 3)))


def test_a_swapped_activation_is_mostly_made_up_for():
    original, swapped = (export_graph(_Chain(act).eval(), 16) for act in (nn.SiLU(), nn.Hardswish()))
    swapped.load_state_dict(original.state_dict())
    before = {name: value.clone() for name, value in swapped.state_dict().items()}
    seen, unseen = images(32, 16), images(32, 16, seed=1)
    layers = []
    fitted = refit(swapped, original, [seen[:16], seen[16:]], layers.append)
    with torch.no_grad():
        wanted, plain, found = original(unseen), swapped(unseen), fitted(unseen)
    assert sqnr_db(wanted, found) > sqnr_db(wanted, plain) + 6
    assert sum(layers) == 5
    assert all(torch.equal(value, before[name]) for name, value in swapped.state_dict().items())


def test_what_repair_rounded_from_rounds_to_what_it_gave(graph):
    int8 = quantized(graph, [images(8, SIZE)], "int8-strict")
    nodes = {node.name: node for node in int8.converted.graph.nodes}
    assert len(int8.unrounded) > 80
    for name, unrounded in int8.unrounded.items():
        weight = constant_of(int8.converted, nodes[name].args[1].args[0])
        assert torch.equal(unrounded.round().clamp(-127, 127), weight.to(torch.float32)), name


def test_refitted_layer_makes_up_for_clipped_inputs():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(16, 16, generator=generator)
    weight, bias = torch.randn(8, 16, 1, 1, generator=generator), torch.randn(8, generator=generator)

    def draw():
        real = torch.einsum("ij,njhw->nihw", mixing, torch.randn(4, 16, 12, 12, generator=generator))
        integers = (real / 0.05).round().clamp(-128, 127)  # +-6.4 of values that reach +-15
        return integers, torch.nn.functional.conv2d(real, weight, bias)

    layer = _Layer(
        node=SimpleNamespace(target=aten.conv2d.default, args=()),
        weight=torch.zeros(8, 16, 1, 1, dtype=torch.int8),
        unrounded=torch.zeros(8, 16, 1, 1),
        scales=torch.zeros(8),
        bias=bias.clone(),
        input_scale=0.05,
        input_zero_point=0,
    )
    round_to_nearest(layer, weight)
    integers, target = draw()

    def error():
        return (_forward(layer, layer.real_weight(), integers) + layer.bias.view(-1, 1, 1) - target).square().mean()

    before = error()
    seen = [draw() for _ in range(4)]
    _refit(layer, [q for q, _ in seen], [sampled(t) for _, t in seen])
    assert error() < 0.8 * before


def round_to_nearest(layer, weight):
    """Choose scales and round each weight for itself: what rounding in view of others has to beat."""
    flat = weight.flatten(1)
    _choose_scales(layer, flat, torch.ones(flat.shape[1]))
    layer.weight.copy_(_rounded(flat, layer.scales).view_as(layer.weight))
    layer.unrounded.copy_((flat / layer.scales[:, None]).view_as(layer.weight))


def empty_layer(weight, *, scales):
    """A layer for weights [out, in] that are yet to be rounded."""
    return _Layer(
        node=None,
        weight=torch.zeros_like(weight, dtype=torch.int8),
        unrounded=torch.zeros_like(weight, dtype=torch.float32),
        scales=scales,
        bias=torch.zeros(len(weight)),
        input_scale=1.0,
        input_zero_point=0,
    )


def test_rounding_with_feedback_beats_nearest_on_correlated_inputs():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(24, 24, generator=generator, dtype=torch.float64)
    covariance = mixing @ mixing.T + 0.1 * torch.eye(24, dtype=torch.float64)
    weight = torch.randn(8, 24, generator=generator, dtype=torch.float64)

    def error(rounding):
        layer = empty_layer(weight, scales=torch.zeros(8))
        round_to_nearest(layer, weight.float())
        rounding(layer)
        difference = layer.real_weight().double() - weight
        return torch.einsum("oi,ij,oj->", difference, covariance, difference).item()

    nearest = error(lambda layer: None)
    factor = torch.linalg.cholesky(covariance.flip(0, 1)).flip(0, 1)
    feedback = error(lambda layer: _round_with_feedback(layer, weight, factor))
    assert feedback < 0.8 * nearest


@pytest.mark.parametrize("groups", [1, 12])
def test_a_filters_taps_are_rounded_in_view_of_each_other(groups):
    """Neighbouring pixels hold much the same: what counts is how far the sum of the taps is off."""
    generator = torch.Generator().manual_seed(0)
    blurred = torch.nn.functional.avg_pool2d(40 * torch.randn(8, 12, 24, 24, generator=generator), 5, 1)
    source = blurred.mul(5).round().clamp(-128, 127)
    weight = torch.randn(12, 12 // groups, 5, 5, generator=generator)
    layer = empty_layer(weight, scales=torch.zeros(12))
    layer.node = SimpleNamespace(target=aten.conv2d.default, args=(None, None, None, [2, 2], [2, 2], [1, 1], groups))

    def error():
        difference = _forward(layer, layer.real_weight(), source) - _forward(layer, weight, source)
        return difference.var(dim=(0, 2, 3)).mean().item()

    round_to_nearest(layer, weight)
    nearest = error()
    _round_filters(layer, weight, [source.to(torch.int8)])
    assert error() < 0.5 * nearest
    assert torch.equal(layer.unrounded.round().clamp(-127, 127), layer.weight.to(torch.float32))


def test_columns_rounded_in_another_order_lie_where_they_belong():
    weight = torch.tensor([[0.4, 3.0, -2.0], [7.0, 0.0, 1.6]], dtype=torch.float64)
    layer, order = empty_layer(weight, scales=torch.ones(2)), torch.tensor([2, 0, 1])
    _round_with_feedback(layer, weight[:, order], torch.eye(3, dtype=torch.float64), order)
    assert layer.weight.tolist() == [[0, 3, -2], [7, 0, 2]]


def test_reconstruction_starts_from_float_weights(graph):
    """It once started from weights rounded one by one, and no filter's taps could make up for each other."""
    int8 = quantized(graph, [images(8, SIZE)], "int8-strict")
    shares = [(kept - kept.round()).abs().mean().item() for kept in int8.unrounded.values() if kept.dim() == 4]
    assert min(shares) > 0.1  # 0.25 where they lie anywhere between two steps


def test_weights_next_to_a_half_round_alike_before_and_after_they_are_kept():
    """Found on a random network: 3.49999999 was kept as float32's 3.5, which rounds to 4."""
    weight = torch.full((1, 2), 3.49999999, dtype=torch.float64)
    layer = empty_layer(weight, scales=torch.ones(1))
    _round_with_feedback(layer, weight, torch.eye(2, dtype=torch.float64))
    assert torch.equal(layer.unrounded.round(), layer.weight.float())


def test_rounding_in_blocks_is_gptq():
    """Frantar et al. 2022, algorithm 1, one column at a time; 150 columns are three blocks."""
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(400, 150, generator=generator, dtype=torch.float64)
    samples += 0.5 * samples.roll(1, dims=1)  # inputs that say something about each other
    covariance = samples.T @ samples / 400
    weight = torch.randn(8, 150, generator=generator, dtype=torch.float64)
    layer = _Layer(
        node=None,
        weight=torch.zeros(8, 150, dtype=torch.int8),
        unrounded=torch.zeros(8, 150),
        scales=(weight.abs().amax(dim=1) / 100).float(),
        bias=torch.zeros(8),
        input_scale=1.0,
        input_zero_point=0,
    )
    _round_with_feedback(layer, weight, torch.linalg.cholesky(covariance.flip(0, 1)).flip(0, 1))

    inverse = torch.linalg.cholesky(torch.linalg.inv(covariance), upper=True)
    remaining, scales = weight.clone(), layer.scales.double()
    for column in range(150):
        expected = (remaining[:, column] / scales).round().clamp(-127, 127)
        assert torch.equal(layer.weight[:, column].double(), expected)
        error = (remaining[:, column] - expected * scales) / inverse[column, column]
        remaining[:, column:] -= torch.outer(error, inverse[column, column:])


def test_leading_layers_are_whole_layers(graph):
    names = nodes_of(units(graph)[:2])
    targets = sorted(str(node.target) for node in graph.graph.nodes if node.name in names)
    assert targets == sorted([*["aten.conv2d.default"] * 2, *["aten.sigmoid.default"] * 2, *["aten.mul.Tensor"] * 2])
    assert nodes_of([]) == frozenset()


def test_every_operator_reads_and_writes_int8(graph):
    converted = quantized(graph, [images(2, SIZE)], "int8-minmax").converted
    for node in converted.graph.nodes:
        if node.op == "call_function" and str(node.target).startswith("aten."):
            activations = [a for a in node.all_input_nodes if a.op == "call_function"]
            assert all(str(a.target).startswith("quantized_decomposed.dequantize") for a in activations), node
            assert [user.target for user in node.users] == [QUANTIZE], node
    sigmoids = [n for n in converted.graph.nodes if n.target is aten.sigmoid.default]
    assert sigmoids
    for node in sigmoids:
        assert next(iter(node.users)).args[1:3] == (1 / 256, -128)


def test_activations_leave_out_float_layers_and_sigmoids(graph):
    every, fewer = activations_of(graph, frozenset()), activations_of(graph, nodes_of(units(graph)[:2]))
    assert not [name for name in every if "sigmoid" in name]
    assert len(set(every)) == len(every)
    # The stem's input, its two outputs and the depthwise's first: four scales less.
    assert len(every) - len(fewer) == 4


def test_graph_is_not_touched_by_quantization(graph):
    before = {name: tensor.clone() for name, tensor in graph.state_dict().items()}
    nodes = len(graph.graph.nodes)
    quantized(graph, [images(2, SIZE)], "int8-strict")
    assert len(graph.graph.nodes) == nodes
    assert not [n for n in graph.graph.nodes if n.target in (QUANTIZE, DEQUANTIZE)]
    assert all(torch.equal(tensor, before[name]) for name, tensor in graph.state_dict().items())


class _Exotic(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cumsum(x, dim=1)


def test_operator_without_a_rule_is_named():
    exported = torch.export.export(_Exotic(), (torch.zeros(1, 3, 8, 8),)).module(check_guards=False)
    with pytest.raises(UnsupportedOperatorError, match="cumsum"):
        lower_xnnpack(exported, (1, 3, 8, 8))


def test_recipe_names():
    assert find_recipe("int8").float_convolutions == 0
    assert find_recipe("int8-float-stem").float_convolutions == 2
    with pytest.raises(InputError, match="int8-strict"):
        find_recipe("int7")
    with pytest.raises(InputError, match="loss-aware"):
        replace(find_recipe("int8"), ranges="guess")
    for field in ("float_convolutions", "equalized", "grouped", "grouped_bytes"):
        with pytest.raises(InputError, match=f"{field} -1: need 0 or more"):
            replace(find_recipe("int8"), **{field: -1})


def test_a_layer_without_activation_may_stay_in_float_between_int8_ones(graph, tmp_path):
    """Its convolution stands between a dq and a q like an int8 one's; only its weights tell."""
    inputs = [images(2, SIZE)]
    projection = [unit for unit in units(graph) if unit.name.endswith("project")][3:4]
    specs = activation_specs(graph, inputs, RECIPES["int8-fast"])
    converted = convert(graph, specs, nodes_of(projection), inputs)
    simulation = simulation_of(converted)
    assert projection[0].nodes[0].name in simulation.floats
    program = lower_xnnpack(converted, (1, 3, SIZE, SIZE))
    with torch.no_grad():
        found = run_program(tmp_path, program.data, inputs[0])
        assert sqnr_db(simulation.module(inputs[0]), found) > 15  # only the float layer's rounding differs
