"""The layer-by-layer analysis finds the layer that was broken on purpose."""

from __future__ import annotations

import pytest
import torch
from torch import fx

from quant.analysis.layer_report import LayerReport, first_broken, outputs_of, reports_from_json, reports_json
from quant.analysis.layers import analyze
from quant.graph.fallback_units import nodes_of, units
from quant.ptq.convert import convert, fixed_specs
from quant.ptq.quantizers import activations_of
from quant.ptq.ranges import ActivationRange, find_ranges
from tests.support.exports import exported
from tests.support.networks import images

SIZE = 64


@pytest.fixture(scope="module")
def graph():
    return exported("lite0", SIZE, padding="symmetric")


@pytest.fixture(scope="module")
def inputs():
    return [images(4, SIZE)]


@pytest.fixture(scope="module")
def ranges(graph, inputs):
    return find_ranges(graph, activations_of(graph, frozenset()), inputs, seed=0)


def reports_of(graph, ranges, inputs, floats=frozenset()):
    return analyze(graph, convert(graph, fixed_specs(ranges), floats, inputs), inputs)


def test_every_operator_is_reported_once_and_the_noise_adds_up(graph, ranges, inputs):
    reports = reports_of(graph, ranges, inputs)
    assert len({report.node for report in reports}) == len(reports)
    # A clamp and the convolution that runs it are one; the rest: sums, pooling, classifier.
    assert sum(report.operator == "linear" for report in reports) == 1
    assert sum(report.noise_share for report in reports) == pytest.approx(1.0)
    assert all(report.precision == "int8" and report.grid is not None for report in reports)
    assert reports[0].sqnr_db > 20  # one layer loses little


def test_a_range_far_too_narrow_is_where_it_breaks(graph, ranges, inputs):
    victim = next(unit for unit in units(graph) if unit.name == "stages.2.0.expand")
    # The clamp behind the convolution is what is quantized.
    names = [node.name for node in victim.nodes if node.name in ranges]
    assert names
    broken = dict(ranges)
    for name in names:
        found = ranges[name]
        broken[name] = ActivationRange(found.seen_low, found.seen_high, found.low / 50, found.high / 50)
    reports = reports_of(graph, broken, inputs)
    worst = max(reports, key=lambda report: report.noise)
    assert worst.layer.startswith("stages.2.0.expand")
    assert worst.clipped > 0.3 and worst.noise_share > 0.5
    first = first_broken(reports)
    assert first is not None and first.layer == worst.layer


def report_of(node, layer, operator, sqnr_db):
    ranges = {"seen": (0.0, 1.0), "grid": (0.0, 1.0), "clipped": 0.0}
    return LayerReport(
        node=node,
        layer=layer,
        operator=operator,
        precision="int8",
        sqnr_db=sqnr_db,
        noise=0.0,
        noise_share=0.0,
        **ranges,
    )


@pytest.mark.parametrize(("later", "broken"), [(19.0, None), (6.0, "conv2d_g0")])
def test_what_silu_reads_breaks_no_layer_whose_output_is_fine(later, broken):
    reports = [
        report_of("conv2d_g0", "stem.conv", "convolution", 3.8),
        report_of("conv2d_g1", "stem.conv", "convolution", 12.7),
        report_of("sigmoid_g0", "stem.activation", "sigmoid", 45.0),
        report_of("sigmoid_g1", "stem.activation", "sigmoid", 46.0),
        report_of("mul_g0", "stem.activation", "product", later),
        report_of("mul_g1", "stem.activation", "product", 26.0),
        report_of("gate", "stages.0.0.squeeze_excite.gate", "sigmoid", 50.0),
        report_of("gated", "stages.0.0.squeeze_excite", "product", 20.0),
        report_of("project", "stages.0.0.project.conv", "convolution", 18.0),
    ]
    first = first_broken(reports)
    assert (first and first.node) == broken
    assert [report.node for report in outputs_of(reports)] == ["mul_g0", "gated", "project"]


def test_float_layers_are_told_apart(graph, ranges, inputs):
    floats = units(graph)[3:5]
    reports = {report.node: report for report in reports_of(graph, ranges, inputs, nodes_of(floats))}
    # The clamp behind the second layer is read by int8 code: quantized there.
    assert {name for name, report in reports.items() if report.precision == "float"} <= nodes_of(floats)
    assert any(report.precision == "float" for report in reports.values())


def test_json_keeps_the_reports(graph, ranges, inputs):
    reports = reports_of(graph, ranges, inputs)
    again = reports_from_json(reports_json(reports))
    assert [report.node for report in again] == [report.node for report in reports]
    assert reports_json(again) == reports_json(reports)
    assert torch.tensor([r.sqnr_db for r in again]).allclose(torch.tensor([r.sqnr_db for r in reports]), atol=1e-3)


class _Kept(fx.Interpreter):
    """A float graph operator by operator, each result with its gradient."""

    def __init__(self, module):
        super().__init__(module)
        self.results = {}

    def run_node(self, n):
        result = super().run_node(n)
        if n.op == "call_function":
            result.retain_grad()
            self.results[n.name] = result
        return result


def test_a_swish_and_its_gate_have_the_noise_that_autograd_gives_each_operator():
    graph = exported("b0", SIZE)
    batch = images(1, SIZE)
    ranges = find_ranges(graph, activations_of(graph, frozenset()), [batch], seed=0)
    reports = {one.node: one for one in reports_of(graph, ranges, [batch])}

    kept = _Kept(graph)
    logits = kept.run(batch.clone().requires_grad_())
    signs = torch.randint(0, 2, logits.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    (logits * signs).sum().backward()
    gates = [name for name in reports if reports[name].operator == "sigmoid"]
    assert len(gates) > 60
    for name, report in reports.items():
        result, (low, high) = kept.results[name], report.grid
        scale = (high - low) / 255
        on_grid = torch.fake_quantize_per_tensor_affine(result, scale, round(-128 - low / scale), -128, 127)
        noise = ((on_grid - result) * result.grad).double().square().sum().item()
        assert report.noise == pytest.approx(noise, rel=1e-2), name
        assert report.seen == pytest.approx((result.min().item(), result.max().item()), rel=1e-4, abs=1e-5)
