"""The accuracy-targeted search: the cheapest set of float layers with which the int8 network meets a target.

Every layer has two figures: what its own quantization does to the logits, alone (first order,
`quant.analysis.layers`), and what leaving it in float would cost on the phone (`quant.graph.latency_model`). Starting
from no float layer, the layer or pair of neighbours that removes most noise for its cost is added, again and again:
the sets so reached are close to the Pareto curve of estimated noise against estimated cost. Estimates only order the
sets; sets are then really quantized and reconstructed, and run over images that nothing was fitted on. A set is good
enough where the target holds on these and is likely to hold on those that the program is judged on
(`quant.analysis.transfer`). Doubling steps along the curve find the first such set, bisection the cheapest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import torch
from torch import fx

from quant.analysis.layer_report import LayerReport
from quant.analysis.layers import analyze
from quant.analysis.search_result import Found, Point, Score
from quant.analysis.transfer import Judged, Target, chance, chance_by_image
from quant.data.batches import first_images
from quant.graph.fallback_units import Unit, nodes_of, units
from quant.graph.latency_model import added_milliseconds
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics import metrics
from quant.metrics.margins import Sureness, ranks_of
from quant.metrics.tasks.task import Task
from quant.ptq.convert import convert
from quant.ptq.steps import Context, Phase, Quantized, State, quantize_program, run_steps
from quant.thresholds import ANALYSIS, TARGET_CHANCE

# Steps of estimated SQNR between the sets of the curve that may be tried: finer ones the images cannot tell.
_STEP_DB = 1.0
_LEAST_MS = 0.01

Cost = Callable[[fx.GraphModule, Iterable[Unit]], float]
"""A graph and some of its units -> what those cost beyond int8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenOn:
    """What networks are compared on."""

    selection: Sequence[torch.Tensor]
    """Images, in batches."""
    labels: torch.Tensor | None
    """Their targets, as the task has them; None without."""
    judged: Judged
    """The images of the verdict, as float sees them."""
    original: fx.GraphModule
    """The float network that the target refers to, its activation not swapped."""
    task: Task
    """What the network is for."""

    def logits(self, network: torch.nn.Module) -> torch.Tensor:
        """Of a network on the selection images, [N, classes]."""
        with torch.no_grad():
            return self.task.view(torch.cat([network(batch) for batch in self.selection]))

    def score(self, found: torch.Tensor, reference: torch.Tensor, target: Target, seed: int) -> Score:
        """Say what logits on the selection images are worth beside float's, and promise of the judged ones."""
        if self.task.per_image is None:
            likely = chance(target, reference, found, self.judged, seed=seed)
        else:
            kept = self.task.per_image(reference, found, self.labels)
            likely = chance_by_image(target, kept, self.judged.images, seed=seed)
        return score(found, reference, self.labels, target, likely, self.task)


def search_float_layers(
    graph_module: fx.GraphModule, context: Context, target: Target, chosen_on: ChosenOn
) -> tuple[Quantized, Found]:
    """Quantize with the cheapest float layers that meet a target.

    Args:
        graph_module: from `export_graph`; left untouched.
        context: how to quantize; the recipe's own float layers are only one choice among others.
        target: what to meet.
        chosen_on: images to choose on.
    """
    context = replace(context, recipe=replace(context.recipe, float_convolutions=0))
    prepared = run_steps(Phase.NETWORK, State(graph=graph_module), context)
    graph, activation = prepared.graph, prepared.activation
    assert activation is not None
    reference = chosen_on.logits(chosen_on.original)

    def quantize(floats: frozenset[str]) -> fx.GraphModule:
        return quantize_program(replace(prepared, float_nodes=floats), context).converted

    def judge(network: fx.GraphModule) -> Score:
        found = chosen_on.logits(simulation_of(network).module)
        return chosen_on.score(found, reference, target, context.seed)

    # Ranges decide what a layer's quantization does, reconstruction hardly: the cheap network orders the layers.
    plain = convert(graph, activation[8], frozenset(), first_images(context.inputs, 1))
    reports = analyze(graph, plain, first_images(context.inputs, ANALYSIS), seed=context.seed)
    found = search(graph, units(graph), reports, quantize=quantize, judge=judge, images=len(reference))
    return Quantized(reference=graph, converted=found.converted, unrounded={}), found


def search(
    graph_module: fx.GraphModule,
    layers: Sequence[Unit],
    reports: Sequence[LayerReport],
    *,
    quantize: Callable[[frozenset[str]], fx.GraphModule],
    judge: Callable[[fx.GraphModule], Score],
    images: int,
) -> Found:
    """Find the cheapest float layers that meet a target.

    Args:
        graph_module: the float graph.
        layers: its units, of `quant.graph.fallback_units.units`.
        reports: of the network with no float layer, from `quant.analysis.layers.analyze`.
        quantize: makes a converted, reconstructed network with these nodes in float.
        judge: says what one is worth.
        images: that it looks at.
    """
    curve = fallback_curve(graph_module, layers, {report.node: report.noise for report in reports})
    tried: dict[int, Point] = {}
    best: tuple[tuple[bool, float, float], int, fx.GraphModule] | None = None

    def attempt(index: int) -> bool:
        nonlocal best
        if index not in tried:
            converted = quantize(nodes_of(curve[index]))
            names, added = tuple(unit.name for unit in curve[index]), added_milliseconds(graph_module, curve[index])
            tried[index] = point = Point(float_layers=names, added_ms=added, **asdict(judge(converted)))
            # Of those that meet the target the cheapest; of those that do not the most faithful.
            rank = (point.met, -point.added_ms if point.met else point.chance, point.sqnr_db)
            if best is None or rank > best[0]:
                best = (rank, index, converted)
        return tried[index].met

    failed, index, stride = -1, 0, 1
    while not attempt(index):
        if index == len(curve) - 1:
            break
        failed, index, stride = index, min(index + stride, len(curve) - 1), 2 * stride
    else:
        while index - failed > 1:
            middle = (failed + index) // 2
            failed, index = (failed, middle) if attempt(middle) else (middle, index)
    assert best is not None
    points = tuple(tried[i] for i in sorted(tried))
    return Found(points=points, chosen=tried[best[1]], converted=best[2], images=images)


def fallback_curve(
    graph_module: fx.GraphModule, layers: Sequence[Unit], noise: dict[str, float], cost: Cost = added_milliseconds
) -> list[tuple[Unit, ...]]:
    """Sets of float layers from none to all, each about `_STEP_DB` less noisy than the one before, by estimate.

    Args:
        graph_module: the float graph.
        layers: its units.
        noise: what each activation's quantization alone does to the logits, by node.
        cost: of a set.
    """
    chosen: tuple[Unit, ...] = ()
    curve = [chosen]
    moves = [*((unit,) for unit in layers), *pairwise(layers)]
    remaining = last = remaining_noise(graph_module, chosen, noise)
    while len(chosen) < len(layers):
        before = cost(graph_module, chosen)
        best = (-math.inf, chosen, remaining)
        for move in moves:
            together = (*chosen, *(unit for unit in move if unit not in chosen))
            if len(together) > len(chosen):
                left = remaining_noise(graph_module, together, noise)
                # What costs nothing by estimate still costs a little: the estimate is rough.
                spent = max(cost(graph_module, together) - before, _LEAST_MS)
                best = max(best, ((remaining - left) / spent, together, left), key=lambda found: found[0])
        _, chosen, remaining = best
        if len(chosen) == len(layers) or last >= remaining * 10 ** (_STEP_DB / 10):
            curve.append(chosen)
            last = remaining
    return curve


def remaining_noise(graph_module: fx.GraphModule, floats: Sequence[Unit], noise: dict[str, float]) -> float:
    """Sum the noise of the activations that are still quantized: those that an int8 operator writes or reads."""
    kept = {node for unit in floats for node in unit.nodes}
    return sum(
        noise[node.name]
        for node in graph_module.graph.nodes
        if node.name in noise and (node not in kept or any(user not in kept for user in node.users))
    )


def score(
    found: torch.Tensor,
    reference: torch.Tensor,
    labels: torch.Tensor | None,
    target: Target,
    likely: float,
    task: Task,
) -> Score:
    """Say what logits on the selection images are worth beside float's, `likely` being the outlook."""
    figures = task.fidelity(reference, found)
    if task.per_image is not None:
        drop = 100.0 * task.per_image(reference, found, labels).drop
    elif labels is None:
        drop = 100.0 * Sureness.of(reference).drop(torch.arange(len(found)), ranks_of(reference, found))
    else:
        drop = 100.0 * (metrics.topk_accuracy(reference, labels, 1) - metrics.topk_accuracy(found, labels, 1))
    return Score(
        agreement=figures.agreement,
        drop=drop,
        sqnr_db=figures.sqnr_db,
        chance=likely,
        met=target.met(figures.agreement, drop) and likely >= TARGET_CHANCE,
    )
