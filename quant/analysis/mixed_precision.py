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
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.task import Task
from quant.ptq.convert import convert
from quant.ptq.steps import Context, Phase, Quantized, State, quantize_program, run_steps
from quant.thresholds import ANALYSIS, TARGET_CHANCE

# Steps of estimated SQNR between the sets of the curve that may be tried: finer ones the images cannot tell.
_STEP_DB = 1.0


_LEAST_MS = 0.01


Quantize = Callable[[frozenset[str]], fx.GraphModule]
"""Float nodes -> converted, reconstructed graph."""


Logits = Callable[[fx.GraphModule], torch.Tensor]
"""Converted graph -> its logits on the selection images."""


Cost = Callable[[fx.GraphModule, Iterable[Unit]], float]
"""A graph and some of its units -> what those cost beyond int8."""


Outlook = Callable[[torch.Tensor, torch.Tensor], float]
"""Float's and a network's logits on the selection images -> chance that the target holds in the end."""


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

    def outlook(self, target: Target, reference: torch.Tensor, found: torch.Tensor, seed: int) -> float:
        """Estimate the chance that a network with these logits beside float's meets a target on the judged images."""
        if self.task.per_image is None:
            return chance(target, reference, found, self.judged, seed=seed)
        kept = self.task.per_image(reference, found, self.labels)
        return chance_by_image(target, kept, self.judged.images, seed=seed)


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
    reference, activation = prepared.graph, prepared.activation
    assert activation is not None

    def quantize(floats: frozenset[str]) -> fx.GraphModule:
        return quantize_program(replace(prepared, float_nodes=floats), context).converted

    # Ranges decide what a layer's quantization does, reconstruction hardly: the cheap network orders the layers.
    plain = convert(reference, activation[8], frozenset(), first_images(context.inputs, 1))
    reports = analyze(reference, plain, first_images(context.inputs, ANALYSIS), seed=context.seed)
    found = search(
        reference,
        units(reference),
        reports,
        target=target,
        quantize=quantize,
        logits=lambda network: chosen_on.logits(simulation_of(network).module),
        reference=chosen_on.logits(chosen_on.original),
        labels=chosen_on.labels,
        outlook=lambda expected, given: chosen_on.outlook(target, expected, given, context.seed),
        task=chosen_on.task,
    )
    return Quantized(reference=reference, converted=found.converted, unrounded={}), found


def search(
    graph_module: fx.GraphModule,
    layers: Sequence[Unit],
    reports: Sequence[LayerReport],
    *,
    target: Target,
    quantize: Quantize,
    logits: Logits,
    reference: torch.Tensor,
    labels: torch.Tensor | None,
    outlook: Outlook,
    task: Task = CLASSES,
) -> Found:
    """Find the cheapest float layers that meet a target.

    Args:
        graph_module: the float graph.
        layers: its units, of `quant.graph.fallback_units.units`.
        reports: of the network with no float layer, from `quant.analysis.layers.analyze`.
        target: what to meet.
        quantize: makes a network.
        logits: runs one over the selection images.
        reference: float logits on these, [N, classes].
        labels: their targets; None without.
        outlook: of a network's logits on these beside float's.
        task: what the network is for.
    """
    curve = fallback_curve(graph_module, layers, {report.node: report.noise for report in reports})
    tried: dict[int, Point] = {}
    best: tuple[tuple[bool, float, float], int, fx.GraphModule] | None = None

    def attempt(index: int) -> bool:
        nonlocal best
        if index not in tried:
            converted = quantize(nodes_of(curve[index]))
            found = logits(converted)
            likely = outlook(reference, found)
            scored = score(found, reference, labels, target, likely, task)
            point = _point(graph_module, curve[index], scored)
            tried[index] = point
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
    return Found(points=points, chosen=tried[best[1]], converted=best[2], images=len(reference))


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


def _point(graph_module: fx.GraphModule, floats: Sequence[Unit], scored: Score) -> Point:
    names = tuple(unit.name for unit in floats)
    return Point(float_layers=names, added_ms=added_milliseconds(graph_module, floats), **asdict(scored))


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
