"""Post-training quantization: the steps in their order, as a list that every caller reads.

`quantize` runs them all; the search runs those of the network once and those of a program for each set of float
layers; a run over several backends runs those of a program for each placement. A new method is one file and one
`Step` (docs/adding-a-method.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import torch
from torch import fx

from quant.common.progress import Progress
from quant.data.batches import first_images
from quant.graph.fallback_units import convolution_units, nodes_of
from quant.graph.memory import give_back_freed_memory, images_that_fit
from quant.graph.pixels import fold_normalization, readable_stem
from quant.graph.qdq import WEIGHTED
from quant.lower.options import Normalization
from quant.lower.xnnpack.portable_scales import make_scales_portable
from quant.ptq.channel_groups import groupable, split_channels
from quant.ptq.convert import convert, fixed_specs, observer_spec
from quant.ptq.equalize import equalizable, equalize
from quant.ptq.quantizers import PLACEMENTS, ActivationSpec, Placement, activations_of
from quant.ptq.ranges import find_ranges
from quant.ptq.reconstruct import reconstruct
from quant.recipes import Recipe
from quant.thresholds import EQUALIZATION, RECONSTRUCTION


class Phase(Enum):
    """How often a step runs."""

    NETWORK = "once for a network and a recipe, whatever the backend"
    PROGRAM = "for each placement and set of float layers"
    FINAL = "on the network that training or the search chose"


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What all steps are given beside the network."""

    inputs: Sequence[torch.Tensor]
    """Calibration images in batches, each [n, C, H, W] float32."""
    recipe: Recipe
    seed: int
    """Of everything random."""
    progress: Progress
    placements: tuple[Placement, ...] = (PLACEMENTS["xnnpack"],)
    """Those that the network is quantized for: ranges are found for all of them at once."""
    normalization: Normalization | None = None
    """Where the program takes pixels, what they are normalised by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A network on its way from float to int8; a step returns the next."""

    graph: fx.GraphModule
    """Float: exported, and rewritten by the steps done."""
    float_nodes: frozenset[str] | None = None
    """Nodes that stay in float; None: the first convolutions that the recipe names."""
    placement: Placement = PLACEMENTS["xnnpack"]
    activation: Mapping[int, ActivationSpec] | None = None
    """The spec of each activation by its bits, 8 or 16, from `ranges` on."""
    converted: fx.GraphModule | None = None
    """With int8 weights and q/dq pairs, from `convert` on."""
    unrounded: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """By reconstructed layer, what its int8 weights were rounded from, in their steps."""

    def floats(self, recipe: Recipe) -> frozenset[str]:
        """Nodes of the graph that stay in float."""
        if self.float_nodes is not None:
            return self.float_nodes
        if not self.placement.keeps_float:
            return frozenset()
        return nodes_of(convolution_units(self.graph)[: recipe.float_convolutions])


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One method at its place."""

    name: str
    phase: Phase
    applies: Callable[[State, Context], bool]
    run: Callable[[State, Context], State]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantized:
    """A quantized network beside the float one that it was made from."""

    reference: fx.GraphModule
    """The float graph, with channel groups and equalized where the recipe says so."""
    converted: fx.GraphModule
    """With int8 weights and q/dq pairs: what a backend lowers."""
    unrounded: Mapping[str, torch.Tensor]
    """By reconstructed layer, what its int8 weights were rounded from, in their steps."""


def _pixels(state: State, context: Context) -> State:
    assert context.normalization is not None
    mean, std = context.normalization.mean, context.normalization.std
    stem = readable_stem(state.graph, mean)
    # One in float reads what is normalised in float.
    if stem is None or stem.name in state.floats(context.recipe):
        return state
    return replace(state, graph=fold_normalization(state.graph, stem.name, mean, std))


def _channel_groups(state: State, context: Context) -> State:
    # What stays in float needs no scales of its own.
    in_float = state.floats(context.recipe)
    names = [name for name in groupable(state.graph) if name not in in_float]
    if not names:
        return state
    inputs = first_images(context.inputs, EQUALIZATION)
    # Forward for the channels' extremes, and both ways for what lies between.
    with context.progress.stage("Grouping", 2 * sum(len(batch) for batch in inputs)) as advance:
        graph = split_channels(
            state.graph,
            names,
            inputs,
            seed=context.seed,
            plain_share=context.recipe.plain_share,
            budget=context.recipe.grouped,
            file_share=context.recipe.grouped_bytes,
            advance=advance,
        )
    return replace(state, graph=graph)


def _equalize(state: State, context: Context) -> State:
    in_float = state.floats(context.recipe)
    names = [name for name in equalizable(state.graph)[: context.recipe.equalized] if name not in in_float]
    if not names:
        return state
    graph = equalize(
        state.graph,
        names,
        first_images(context.inputs, EQUALIZATION),
        seed=context.seed,
        plain_share=context.recipe.plain_share,
    )
    return replace(state, graph=graph)


def _ranges(state: State, context: Context) -> State:
    recipe, inputs = context.recipe, context.inputs
    if recipe.ranges != "loss-aware":
        return replace(state, activation={bits: observer_spec(recipe.ranges, bits) for bits in (8, 16)})
    skips_float = all(placement.skips_float for placement in context.placements)
    names = activations_of(state.graph, state.floats(recipe) if skips_float else frozenset())
    with context.progress.stage("Ranges", sum(len(batch) for batch in inputs)) as advance:
        found = find_ranges(
            state.graph, names, inputs, seed=context.seed, plain_share=recipe.plain_share, advance=advance
        )
    return replace(state, activation={bits: fixed_specs(found, bits) for bits in (8, 16)})


def _convert(state: State, context: Context) -> State:
    assert state.activation is not None
    graph, activation, floats = state.graph, state.activation[state.placement.bits], state.floats(context.recipe)
    if context.recipe.ranges == "loss-aware":
        # All scales of activations are given: one image runs the weights' observers.
        converted = convert(graph, activation, floats, first_images(context.inputs, 1), placement=state.placement)
    else:
        with context.progress.stage("Calibrating", sum(len(batch) for batch in context.inputs)) as advance:
            converted = convert(graph, activation, floats, context.inputs, advance, state.placement)
    give_back_freed_memory()
    return replace(state, converted=converted)


def _reconstruct(state: State, context: Context) -> State:
    assert state.converted is not None
    layers = sum(node.target in WEIGHTED for node in state.graph.graph.nodes)
    with context.progress.stage("Reconstructing", layers) as advance:
        inputs = images_that_fit(state.graph, context.inputs, RECONSTRUCTION)
        assert state.placement.arithmetic is not None
        unrounded = reconstruct(state.graph, state.converted, inputs, advance, state.placement.arithmetic)
        return replace(state, unrounded=unrounded)


def _portable_scales(state: State, context: Context) -> State:
    assert state.converted is not None
    make_scales_portable(state.converted)
    return state


STEPS: tuple[Step, ...] = (
    Step(
        name="pixels",
        phase=Phase.NETWORK,
        applies=lambda state, context: context.normalization is not None,
        run=_pixels,
    ),
    Step(
        name="channel groups",
        phase=Phase.NETWORK,
        applies=lambda state, context: min(context.recipe.grouped, context.recipe.grouped_bytes) > 0,
        run=_channel_groups,
    ),
    Step(
        name="equalize",
        phase=Phase.NETWORK,
        applies=lambda state, context: context.recipe.equalized > 0,
        run=_equalize,
    ),
    Step(name="ranges", phase=Phase.NETWORK, applies=lambda state, context: True, run=_ranges),
    Step(name="convert", phase=Phase.PROGRAM, applies=lambda state, context: True, run=_convert),
    Step(
        name="reconstruct",
        phase=Phase.PROGRAM,
        applies=lambda state, context: context.recipe.reconstruct and state.placement.arithmetic is not None,
        run=_reconstruct,
    ),
    Step(
        name="portable scales",
        phase=Phase.FINAL,
        applies=lambda state, context: state.placement.portable_scales,
        run=_portable_scales,
    ),
)
"""From input to output of the method; a step sees what those before it made."""


def run_steps(phase: Phase, state: State, context: Context) -> State:
    """Run the steps of one phase that apply, in their order."""
    for step in STEPS:
        if step.phase is phase and step.applies(state, context):
            state = step.run(state, context)
    return state


def quantize_program(prepared: State, context: Context) -> Quantized:
    """Run the steps of a program on a network whose own steps are done."""
    state = run_steps(Phase.PROGRAM, prepared, context)
    assert state.converted is not None
    return Quantized(reference=state.graph, converted=state.converted, unrounded=state.unrounded)


def finish(quantized: Quantized, placement: Placement, context: Context) -> None:
    """Run the final steps, in place."""
    state = State(graph=quantized.reference, placement=placement, converted=quantized.converted)
    run_steps(Phase.FINAL, state, context)


def quantize_graph(
    graph_module: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
    normalization: Normalization | None = None,
) -> Quantized:
    """Quantize an exported float graph for XNNPACK, all but the final steps.

    Args:
        graph_module: from `export_graph`; left untouched.
        inputs: calibration images in batches, each [n, C, H, W] float32.
        recipe: how.
        seed: of everything random.
        progress: told of the stages.
        normalization: where the program takes pixels, what they are normalised by.
    """
    context = Context(inputs=inputs, recipe=recipe, seed=seed, progress=progress, normalization=normalization)
    return quantize_program(run_steps(Phase.NETWORK, State(graph=graph_module), context), context)
