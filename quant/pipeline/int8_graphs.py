"""The stage that quantizes: one network, its ranges found once, converted for each placement asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from quant.analysis.layer_report import LayerReport
from quant.analysis.layers import analyze
from quant.analysis.mixed_bits import mix_bits
from quant.analysis.mixed_precision import ChosenOn, search_float_layers
from quant.analysis.search_result import Found
from quant.analysis.transfer import Judged, Target
from quant.common.findings import Finding, finding
from quant.common.progress import Progress
from quant.common.subsample import subsample
from quant.data.batches import batch_size_for, read_batches
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.evaluate import collect_logits
from quant.pipeline.float_graphs import Graphs
from quant.pipeline.load import Loaded
from quant.pipeline.request import Request
from quant.ptq.quantizers import PLACEMENTS
from quant.ptq.steps import Context, Phase, Quantized, State, finish, quantize_program, run_steps
from quant.qat.images import SplitImages
from quant.qat.report import QatReport
from quant.qat.run import loop_config, train_quantized
from quant.thresholds import ANALYSIS, ANALYSIS_LEAST, MIN_SELECTION, MIXED_AGREEMENT, OUTLOOK_IMAGES
from quant.training.distributed import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Int8Graphs:
    """What was quantized, before training."""

    by_placement: Mapping[str, Quantized]
    """Keys of `PLACEMENTS`."""
    search: Found | None
    """Where float layers were searched for."""
    findings: tuple[Finding, ...]
    """About the images that float layers or bits were chosen on."""
    context: Context
    """That they were quantized in."""
    mixed: Mapping[str, str] = field(default_factory=dict)
    """By placement, how its activations with 16 bits were chosen, in a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """How the quantized network was trained, in place."""

    report: QatReport
    before: nn.Module
    """The arithmetic that training started from."""


def quantize_graphs(network: Loaded, graphs: Graphs, inputs: list[torch.Tensor], progress: Progress) -> Int8Graphs:
    """Quantize as the recipe says, or with the float layers that the target takes.

    `inputs` are calibration images in batches, each [n, C, H, W] float32.
    """
    request, findings = network.request, _selection_findings(network)
    wanted = (choice.placement for choice in request.choices if choice.missing is None)
    names = list(dict.fromkeys(name for name in wanted if name is not None))
    context = Context(
        inputs=inputs,
        recipe=request.recipe,
        seed=request.config.seed,
        progress=progress,
        placements=tuple(PLACEMENTS[name] for name in names),
        normalization=request.normalization(network.preprocess),
    )
    if request.searches:
        images = _chosen_on(network, graphs, progress)
        quantized, found = search_float_layers(graphs.float, context, _target(request), images)
        by_placement = dict.fromkeys(names, quantized)
        return Int8Graphs(by_placement=by_placement, search=found, findings=findings, context=context)
    mixing, quantized_by, mixed = {choice.placement for choice in request.choices if choice.mixes}, {}, {}
    # The steps of the network depend on which layers stay in float.
    for keeps_float in (True, False):
        sharing = [name for name in names if PLACEMENTS[name].keeps_float is keeps_float]
        if not sharing:
            continue
        shared = replace(context, placements=tuple(PLACEMENTS[name] for name in sharing))
        prepared = run_steps(Phase.NETWORK, State(graph=graphs.float, placement=PLACEMENTS[sharing[0]]), shared)
        for name in sharing:
            placed = replace(prepared, placement=PLACEMENTS[name])
            if name in mixing:
                quantized_by[name], mixed[name] = _mix(network, graphs, shared, placed)
            else:
                quantized_by[name] = quantize_program(placed, shared)
    return Int8Graphs(by_placement=quantized_by, search=None, findings=findings, context=context, mixed=mixed)


def train_graph(network: Loaded, graphs: Graphs, int8: Int8Graphs, progress: Progress, group: Group) -> Trained:
    """Train the one quantized network in place; what a swapped activation lost is to be learned too."""
    request, split = network.request, network.split
    (quantized,) = int8.by_placement.values()
    before = simulation_of(quantized.converted).module
    config = loop_config(
        request.qat,
        network.preprocess,
        variant=request.spec.name,
        recipe=request.recipe.name,
        out=request.out,
        seed=request.config.seed,
    )
    report = train_quantized(
        quantized,
        graphs.original,
        network.preprocess,
        request.qat,
        config,
        training=SplitImages(split.training, network.class_names),
        selection=split.selection,
        selection_inputs=read_batches(split.selection, network.preprocess, progress),
        task=network.task,
        progress=progress,
        group=group,
    )
    return Trained(report=report, before=before)


def finish_graphs(int8: Int8Graphs) -> None:
    """Run the final steps on every quantized network, in place."""
    for name, quantized in int8.by_placement.items():
        finish(quantized, PLACEMENTS[name], int8.context)


def analyze_graphs(network: Loaded, int8: Int8Graphs, progress: Progress) -> dict[str, list[LayerReport]]:
    """Compare each network of XNNPACK's arithmetic layer by layer with float, on evaluation images; by placement."""
    wanted = {name: q for name, q in int8.by_placement.items() if PLACEMENTS[name].to_the_bit}
    if not wanted:
        return {}
    count = min(ANALYSIS, max(ANALYSIS_LEAST, batch_size_for(network.preprocess.crop)))
    images = network.split.evaluation
    inputs = read_batches([images[i] for i in subsample(len(images), count)], network.preprocess, progress)
    found = {}
    for name, quantized in wanted.items():
        with progress.stage("Analyzing", 2 * sum(map(len, inputs))) as advance:
            both = quantized.reference, quantized.converted
            found[name] = analyze(*both, inputs, seed=network.request.config.seed, advance=advance)
    return found


def _mix(network: Loaded, graphs: Graphs, context: Context, placed: State) -> tuple[Quantized, str]:
    request = network.request
    target = _target(request) if request.targeted else replace(_target(request), min_agreement=MIXED_AGREEMENT)
    quantized, found = mix_bits(placed, context, target, _chosen_on(network, graphs, context.progress))
    return quantized, found.sentence()


def _target(request: Request) -> Target:
    return Target(min_agreement=request.limits.min_agreement or 0.0, max_drop=request.limits.max_drop)


def _chosen_on(network: Loaded, graphs: Graphs, progress: Progress) -> ChosenOn:
    task, evaluation = network.task, network.split.evaluation
    images = network.split.selection or evaluation
    selection = read_batches(images, network.preprocess, progress)
    # Float's view of the evaluation images, thinned where there are very many.
    seen = [evaluation[i] for i in subsample(len(evaluation), OUTLOOK_IMAGES)]
    logits = collect_logits({"float": graphs.original}, seen, network.preprocess, progress)["float"]
    return ChosenOn(
        selection=selection,
        labels=task.targets_of(images),
        judged=Judged(logits=task.view(logits), labels=task.targets_of(seen), images=len(evaluation)),
        original=graphs.original,
        task=task,
    )


def _selection_findings(network: Loaded) -> tuple[Finding, ...]:
    request = network.request
    if not (request.searches or request.mixes) or network.split.selection:
        return ()
    what = "float layers" if request.searches else "activations with 16 bits"
    message = (
        f"Fewer than {MIN_SELECTION} images were left to choose {what} on: they were chosen on the "
        "evaluation images, which flatters the verdict."
    )
    return (finding("selection-on-evaluation", message),)
