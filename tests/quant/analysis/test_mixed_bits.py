"""16 bits where they are needed: the fewest that meet a target, found in a few tries."""

from dataclasses import replace

import pytest
import torch

from quant.analysis.mixed_bits import _Search, mix_bits, wide_cost
from quant.analysis.mixed_precision import ChosenOn
from quant.analysis.search_result import Score
from quant.analysis.transfer import Judged, Target
from quant.common.progress import NoProgress
from quant.graph.export import export_graph
from quant.graph.fallback_units import units
from quant.graph.qdq import DEQUANTIZE, QUANTIZE
from quant.lower.delegation import activations_in_16_bits
from quant.lower.qnn.graph import for_htp
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.metrics import sqnr_db
from quant.metrics.tasks.classes import CLASSES
from quant.ptq.quantizers import PLACEMENTS
from quant.ptq.steps import Context, Phase, State, run_steps
from quant.recipes import RECIPES
from tests.support.mixed import Tiny, mixed_graph


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    graph = export_graph(Tiny().eval(), 16)
    context = Context(
        inputs=[torch.randn(8, 3, 16, 16)], recipe=RECIPES["int8-fast"], seed=0, progress=NoProgress(),
        placements=(PLACEMENTS["htp-mixed"],),
    )  # fmt: skip
    prepared = run_steps(Phase.NETWORK, State(graph=graph, placement=PLACEMENTS["htp-mixed"]), context)
    selection = [torch.randn(32, 3, 16, 16)]
    judged = Judged(logits=graph(torch.randn(64, 3, 16, 16)).detach(), labels=None, images=64)
    images = ChosenOn(selection=selection, labels=None, judged=judged, original=graph, task=CLASSES)
    return prepared, context, images


def test_what_eight_bits_reach_takes_none(scene):
    quantized, found = mix_bits(*scene[:2], Target(min_agreement=0.5, max_drop=50.0), scene[2])
    assert (found.chosen.modules, found.tried, found.chosen.score.met) == ((), 1, True)
    assert "in 0 modules, the least that reaches the target: 1 choice tried" in found.sentence()
    assert activations_in_16_bits(quantized.converted) is None


def test_a_target_out_of_reach_takes_all_that_helps(scene):
    prepared, context, images = scene
    quantized, found = mix_bits(prepared, context, Target(min_agreement=1.01, max_drop=50.0), images)
    assert found.tried > 1 and not found.chosen.score.met and "none reaching the target" in found.sentence()
    share = activations_in_16_bits(quantized.converted)
    assert share.activations > 0 and 0 < share.values <= 1
    (x,) = images.selection
    narrow = mix_bits(prepared, context, Target(min_agreement=0.0, max_drop=100.0), images)[0]
    wanted = images.logits(images.original)
    errors = [sqnr_db(wanted, simulation_of(q.converted, "htp").module(x)) for q in (narrow, quantized)]
    assert errors[1] > errors[0] + 6


@pytest.mark.parametrize("chosen", [slice(0, None, 2), slice(1, None, 2), slice(0, 3), slice(4, None)])
def test_each_operator_reads_and_writes_its_own_bits(chosen):
    """What it reads was converted, but for a sigmoid's output, whose grid executorch's passes leave as it is."""
    graph, x = mixed_graph(lambda names: names[chosen])
    handed = for_htp(graph)
    for node in [*graph.graph.nodes, *handed.graph.nodes]:
        if node.op == "call_function" and node.target not in (QUANTIZE, DEQUANTIZE):
            around = [n for n in (*node.all_input_nodes, *node.users) if n.target in (QUANTIZE, DEQUANTIZE)]
            assert len({n.args[5] for n in around}) <= 1, node
    with torch.no_grad():  # the gates of 8 bits are rounded in one and not in the other
        assert sqnr_db(simulation_of(graph, "htp").module(x), handed(x)) > 25


def made(met_from, noise=(1.0, 0.5, 0.25, 0.12, 0.06, 0.03, 0.0), optimism=1.0):
    """A search whose points meet the target from one on; predictions err by a factor."""
    limit = noise[met_from] + 0.02

    def judge(error):
        power = float(error.square().mean())
        return Score(agreement=1.0, drop=0.0, sqnr_db=-power, chance=0.5, met=power <= limit * optimism * 1.001)

    def attempt(point):
        logits = torch.full((4, 2), (noise[point] + 0.02) ** 0.5)
        return Score(agreement=1.0, drop=0.0, sqnr_db=float(point), chance=0.1 * point, met=point >= met_from), logits

    return _Search(noise=noise, attempt=attempt, judge=judge, reference=torch.zeros(4, 2))


@pytest.mark.parametrize("met_from", range(7))
def test_a_right_prediction_finds_the_cheapest_in_three_tries(met_from):
    search = made(met_from)
    assert search.run() == met_from and len(search.scores) <= 3


@pytest.mark.parametrize("optimism", [0.4, 3.0])
def test_a_wrong_prediction_takes_more_tries_to_the_cheapest(optimism):
    search = made(3, optimism=optimism)
    assert search.run() == 3 and not search.scores[2].met and len(search.scores) <= 6


@pytest.mark.parametrize(
    ("tried", "least"), [({0, 3}, "the least of 2 choices"), ({0, 2, 3}, "the least that reaches")]
)
def test_the_least_is_said_where_the_next_cheaper_one_was_tried(scene, monkeypatch, tried, least):
    def run(search):
        for point in tried:
            score, _ = search.attempt(point)
            search.scores[point] = replace(score, met=point == 3)
        return 3

    monkeypatch.setattr(_Search, "run", run)
    _, found = mix_bits(*scene[:2], Target(min_agreement=0.5, max_drop=50.0), scene[2])
    assert least in found.sentence()


def test_16_bits_cost_what_is_written_and_what_is_converted(scene):
    graph = scene[0].graph
    cost, parts = wide_cost(graph), units(graph)
    assert cost(graph, ()) == 0.0 and cost(graph, parts) == pytest.approx(1.0)
    stem = next(unit for unit in parts if unit.name == "stem")
    assert cost(graph, (stem,)) > sum(n.meta["val"][0].numel() for n in stem.nodes) / (8 * 8 * 8 * 8)
