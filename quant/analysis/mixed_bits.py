"""Which activations of an NPU's program need 16 bits: the least of them with which a target is met.

As in the search for float layers, every tensor's rounding to 8 bits has a first-order effect on the logits, and
computing in 16 bits has a cost; sets of operators are formed that remove most noise for their cost. Which set is
needed is predicted: the error that the network in 8 bits really makes, on images that nothing was fitted on, shrinks
as the noise that is left. That set is quantized, reconstructed and simulated, and its error predicts the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import fx

from quant.analysis.layers import analyze
from quant.analysis.mixed_precision import ChosenOn, fallback_curve, remaining_noise
from quant.analysis.search_result import Score
from quant.analysis.transfer import Target
from quant.data.batches import first_images
from quant.graph.fallback_units import Unit, nodes_of, units
from quant.graph.qdq import elements
from quant.lower.xnnpack.simulator import simulation_of
from quant.ptq.steps import Context, Quantized, State, quantize_program
from quant.thresholds import ANALYSIS

_LEFT_IN_16_BITS = 0.02
"""Noise of a network all in 16 bits, as a share of its noise in 8: what rounded weights leave (B0: 17.5 dB less)."""

_TRIES = 6
"""Sets that are quantized at most, the one without 16 bits among them: half a minute each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Operators in 16 bits, tried."""

    modules: tuple[str, ...]
    score: Score
    """On the selection images, simulated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """The outcome of a search."""

    chosen: Mixture
    """The one with the fewest bits that meets the target; the best of all where none does."""
    tried: int
    least: bool
    """Whether the next cheaper one was tried, and misses the target."""
    images: int
    """That it was chosen on."""

    def sentence(self) -> str:
        """How it was chosen."""
        score, choices = self.chosen.score, "choice" if self.tried == 1 else "choices"
        ends = "the best of, none reaching the target:"
        if score.met:
            ends = "the least that reaches the target:" if self.least else "the least of"
        return (
            f"int16 in {len(self.chosen.modules)} modules, {ends} {self.tried} {choices} tried on {self.images} "
            f"images: {100 * score.agreement:.1f} % keep their class there, simulated, {score.sqnr_db:.1f} dB; the "
            f"chance that the target holds on the evaluation images is {score.chance:.2f}"
        )


@dataclass(kw_only=True, slots=True)
class _Search:
    """Points of a curve, tried one after the other."""

    noise: Sequence[float]
    """Left at each point, as a share of the first's, falling."""
    attempt: Callable[[int], tuple[Score, torch.Tensor]]
    """Quantizes a point; its score, and its logits on the selection images."""
    judge: Callable[[torch.Tensor], Score]
    """Of logits on the selection images."""
    reference: torch.Tensor
    """Float logits on these."""
    scores: dict[int, Score] = field(default_factory=dict)

    def run(self) -> int:
        """Try points, the first first; the cheapest that meets the target, or else the best."""
        failed, met, point = -1, len(self.noise), 0
        while failed + 1 < met and len(self.scores) < _TRIES:
            self.scores[point], logits = self.attempt(point)
            failed, met = (failed, point) if self.scores[point].met else (point, met)
            point = self._predicted(point, logits, range(failed + 1, met))
        found = self.scores
        return met if met in found else max(found, key=lambda p: (found[p].chance, found[p].sqnr_db))

    def _predicted(self, known: int, logits: torch.Tensor, points: range) -> int:
        """The first of some points that is likely to meet the target, by the error of a known one; else the last."""
        error = logits - self.reference
        for point in points:
            scale = math.sqrt((self.noise[point] + _LEFT_IN_16_BITS) / (self.noise[known] + _LEFT_IN_16_BITS))
            if self.judge(self.reference + scale * error).met:
                return point
        return points[-1] if points else known


def mix_bits(prepared: State, context: Context, target: Target, chosen_on: ChosenOn) -> tuple[Quantized, Mixed]:
    """Quantize with the fewest operators in 16 bits that meet a target.

    Args:
        prepared: a network whose own steps are done, of a placement that mixes bits.
        context: how to quantize.
        target: what to meet.
        chosen_on: images to choose on.
    """
    graph, activation, arithmetic = prepared.graph, prepared.activation, prepared.placement.arithmetic
    assert activation is not None and arithmetic is not None

    def quantize(chosen: Iterable[Unit]) -> Quantized:
        quantizer = partial(prepared.placement.quantizer, wide=nodes_of(chosen), wide_activation=activation[16])
        return quantize_program(
            replace(prepared, placement=replace(prepared.placement, quantizer=quantizer)), context
        )

    def judge(given: torch.Tensor) -> Score:
        return chosen_on.score(given, reference, target, context.seed)

    def attempt(point: int) -> tuple[Score, torch.Tensor]:
        made[point] = made[point] if point in made else quantize(curve[point])
        found = chosen_on.logits(simulation_of(made[point].converted, arithmetic).module)
        return judge(found), found

    reference = chosen_on.logits(chosen_on.original)
    narrow = quantize(())
    reports = analyze(graph, narrow.converted, first_images(context.inputs, ANALYSIS), seed=context.seed)
    noise = {report.node: report.noise for report in reports}
    curve = fallback_curve(graph, _units(graph), noise, cost=wide_cost(graph))
    left = [remaining_noise(graph, chosen, noise) for chosen in curve]
    made = {0: narrow}
    search = _Search(
        noise=[one / max(left[0], 1e-30) for one in left], attempt=attempt, judge=judge, reference=reference
    )
    best = search.run()
    modules = tuple(unit.name for unit in curve[best])
    mixture = Mixture(modules=modules, score=search.scores[best])
    least = mixture.score.met and (best == 0 or best - 1 in search.scores)
    return made[best], Mixed(chosen=mixture, tried=len(search.scores), least=least, images=len(reference))


def _units(graph_module: fx.GraphModule) -> list[Unit]:
    """The graph's units, the last with the graph's end, which reads whatever bits."""
    *found, last = units(graph_module)
    (end,) = (node for node in graph_module.graph.nodes if node.op == "output")
    return [*found, Unit(last.name, (*last.nodes, end))]


def wide_cost(graph_module: fx.GraphModule) -> Callable[[fx.GraphModule, Iterable[Unit]], float]:
    """What 16 bits cost: the values that operators write in them, and those converted, as a share of all.

    Movement is what an NPU spends its time on: B0's multiplications are some 5 % of the published 0.7 ms.
    """
    sizes = {node: elements(node) for node in graph_module.graph.nodes if node.op == "call_function"}
    readers = {node: [user for user in node.users if user in sizes] for node in sizes}
    total = sum(sizes.values())

    def cost(_: fx.GraphModule, chosen: Iterable[Unit]) -> float:
        wide = {node for unit in chosen for node in unit.nodes}
        written = sum(sizes.get(node, 0) for node in wide)
        return (written + sum(sizes[n] for n in sizes if any((u in wide) != (n in wide) for u in readers[n]))) / total

    return cost
