"""The search takes the cheapest float layers that meet a target, and says so where none does."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from quant.analysis.mixed_precision import fallback_curve, remaining_noise, score, search
from quant.analysis.transfer import Judged, Target, chance
from quant.graph.fallback_units import convolution_units, nodes_of, units
from quant.graph.latency_model import added_milliseconds
from quant.metrics import metrics
from quant.metrics.tasks.classes import CLASSES
from quant.ptq.equalize import equalizable, equalize
from tests.support.exports import exported
from tests.support.networks import images

SIZE = 64


@pytest.fixture(scope="module")
def graph():
    return exported("b0", SIZE, padding="symmetric")


@pytest.fixture(scope="module")
def noise(graph):
    """All of it in the stem and, less, in one layer further on."""
    layers = units(graph)
    found = {node.name: 0.001 for unit in layers for node in unit.nodes}
    found |= {node.name: 1.0 for node in layers[0].nodes}
    found |= {node.name: 0.3 for node in layers[10].nodes}
    return found


def test_the_curve_goes_from_none_to_all_and_takes_the_noisy_layers_first(graph, noise):
    layers = units(graph)
    curve = fallback_curve(graph, layers, noise)
    assert curve[0] == () and set(curve[-1]) == set(layers)
    for before, after in pairwise(curve):
        assert set(before) < set(after)
        assert remaining_noise(graph, after, noise) < remaining_noise(graph, before, noise)
    assert layers[0] in curve[1]


def test_an_activation_counts_until_no_int8_operator_touches_it(graph, noise):
    layers = units(graph)
    total = remaining_noise(graph, (), noise)
    alone = remaining_noise(graph, layers[:1], noise)
    pair = remaining_noise(graph, layers[:2], noise)
    # The stem's output is still quantized for the depthwise convolution that reads it.
    assert total - alone == pytest.approx(2.0)
    assert pair < alone - 0.9


def test_recipes_count_convolutions_and_padding_goes_with_its_own():
    padded = exported("lite0", SIZE)
    first, second = convolution_units(padded)[:2]
    assert [first.name, second.name] == ["stem", "stages.0.0.depthwise"]
    assert any("pad" in str(node.target) for node in first.nodes)
    everything = {node.name for node in padded.graph.nodes if node.op == "call_function"}
    assert nodes_of(units(padded)) == everything


def test_float_layers_cost_time(graph):
    layers = units(graph)
    assert added_milliseconds(graph, ()) == 0.0
    assert 0 < added_milliseconds(graph, layers[:2]) < added_milliseconds(graph, layers)


def test_equalized_graphs_have_costs_too(graph):
    equalized = equalize(graph, equalizable(graph)[:2], [images(2, SIZE)], seed=0, plain_share=1e-6)
    assert added_milliseconds(equalized, units(equalized)) > added_milliseconds(graph, units(graph))


class _Wanting:
    """Stands for the quantizer: agrees with float on the more images the more layers are in float."""

    def __init__(self, enough):
        self.enough, self.asked = enough, []

    def quantize(self, floats):
        self.asked.append(floats)
        return floats

    def logits(self, floats):
        rows = torch.eye(2).repeat(50, 1)
        if not self.enough <= floats:
            rows[: max(4, 20 - len(floats) // 10)] = 0.5 * torch.tensor([[0.0, 1.0]])
        return rows


def found(graph, noise, wanting, *, min_agreement=0.99, outlook=lambda reference, found: 1.0):
    reports = [type("Report", (), {"node": name, "noise": value}) for name, value in noise.items()]
    target, reference = Target(min_agreement=min_agreement, max_drop=100.0), torch.eye(2).repeat(50, 1)

    def judge(floats):
        logits = wanting.logits(floats)
        return score(logits, reference, None, target, outlook(reference, logits), CLASSES)

    return search(graph, units(graph), reports, quantize=wanting.quantize, judge=judge, images=100)


def test_the_cheapest_set_that_meets_the_target_is_taken(graph, noise):
    curve = fallback_curve(graph, units(graph), noise)
    wanting = _Wanting(nodes_of(curve[3]))
    outcome = found(graph, noise, wanting)
    assert outcome.converted == nodes_of(curve[3])
    assert outcome.chosen.met and outcome.chosen.agreement == 1.0 and outcome.images == 100
    assert [p.met for p in outcome.points] == sorted(p.met for p in outcome.points)
    assert nodes_of(curve[2]) in wanting.asked  # the next cheaper one was really tried
    assert outcome.chosen.float_layers == tuple(unit.name for unit in curve[3])


def test_no_float_layer_is_bought_where_none_is_needed(graph, noise):
    wanting = _Wanting(frozenset())
    outcome = found(graph, noise, wanting)
    assert wanting.asked == [frozenset()] and outcome.chosen.float_layers == () and outcome.chosen.added_ms == 0.0


def test_a_set_that_holds_on_the_selection_only_is_not_enough(graph, noise):
    curve = fallback_curve(graph, units(graph), noise)
    wanting, enough = _Wanting(frozenset()), nodes_of(curve[2])

    def outlook(reference, found):
        return 0.95 if enough <= wanting.asked[-1] else 0.4

    outcome = found(graph, noise, wanting, outlook=outlook)
    assert outcome.converted == enough and outcome.chosen.chance == 0.95
    assert all(point.agreement == 1.0 for point in outcome.points)  # nothing else told them apart


def test_the_chance_follows_the_margins_of_the_judged_images():
    target = Target(min_agreement=0.95, max_drop=100.0)
    generator = torch.Generator().manual_seed(0)
    reference = 10 * torch.eye(4).repeat(25, 1)
    error = torch.randn(100, 4, generator=generator)

    def judged(margin, labels=None):
        # As confident on the whole, whatever the margin between the first two.
        first, second = torch.eye(4).repeat(50, 1), torch.eye(4).roll(1, dims=1).repeat(50, 1)
        return Judged(logits=10 * first + (10 - margin) * second, labels=labels, images=200)

    nearly = judged(2.5)

    # The selection images keep their class in any case; of the others only those with margins like theirs.
    assert chance(target, reference, reference + error, judged(10.0), seed=0) == 1.0
    assert chance(target, reference, reference + error, judged(1.0), seed=0) == 0.0
    assert 0.0 < chance(target, reference, reference + error, nearly, seed=0) < 1.0
    # A class that float had wrong and int8 loses costs no top-1.
    wrong = torch.arange(1, 5).repeat(50) % 4
    drop = Target(min_agreement=0.0, max_drop=1.0)
    assert chance(drop, reference, reference + error, judged(1.0, wrong), seed=0) == 1.0
    assert chance(drop, reference, reference + error, judged(1.0, torch.arange(4).repeat(50)), seed=0) == 0.0


def test_without_labels_a_change_between_two_classes_that_float_cannot_tell_apart_is_no_loss():
    sure = 10 * torch.eye(4).repeat(25, 1)
    torn = sure + (10 - 0.02) * torch.eye(4).roll(1, dims=1).repeat(25, 1)
    float_logits = torch.cat([sure, torn])
    error = 0.5 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    found = float_logits + error
    target = Target(min_agreement=0.0, max_drop=1.0)

    def judged(logits):
        return Judged(logits=logits, labels=None, images=len(logits))

    assert metrics.agreement(float_logits, found) < 0.9  # nearly half of the torn ones change
    assert chance(target, float_logits, found, judged(float_logits), seed=0) == 1.0
    # Where float is sure of none, its probabilities say nothing: every change counts.
    assert chance(target, float_logits, found, judged(torn), seed=0) == 0.0
    # Nor may those change that it is sure of.
    broken = float_logits + 20 * torch.eye(4).roll(2, dims=1)[[0]] * (torch.arange(200) % 10 == 0)[:, None]
    assert chance(target, float_logits, broken, judged(float_logits), seed=0) < 0.01


def test_an_unreachable_target_gives_the_best_found(graph, noise):
    wanting = _Wanting(frozenset({"no such node"}))
    outcome = found(graph, noise, wanting)
    assert not outcome.chosen.met
    assert outcome.chosen.agreement == max(point.agreement for point in outcome.points)
    assert len(wanting.asked[-1]) == max(map(len, wanting.asked))  # all in float was tried


def test_a_target_counts_its_rounding():
    target = Target(min_agreement=0.99, max_drop=0.4)
    assert target.met(0.99, 100 * (0.956 - 0.952))
    assert not target.met(0.988, 0.0) and not target.met(1.0, 0.41)
