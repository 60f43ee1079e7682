"""From one float graph to every program: ranges found once, placed for each backend, lowered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from quant.common.progress import Progress
from quant.graph.fallback_units import convolution_units, nodes_of
from quant.lower.backend import Source
from quant.lower.choices import Choice
from quant.lower.delegation import DelegationReport, report_delegation
from quant.lower.options import BackendOptions
from quant.lower.result import LoweredProgram
from quant.lower.xnnpack.portable_scales import make_scales_portable
from quant.pipeline.request import Request
from quant.ptq.quantizers import PLACEMENTS
from quant.ptq.steps import activation_specs, convert, equalized_graph, quantize_with


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A program and what it was made from."""

    choice: Choice
    graph: fx.GraphModule
    """What was lowered."""
    program: LoweredProgram
    report: DelegationReport


def placed_graphs(
    request: Request,
    graph: fx.GraphModule,
    placements: set[str | None],
    inputs: list[torch.Tensor],
    progress: Progress,
) -> dict[str | None, fx.GraphModule]:
    """Quantize for each placement, with ranges from one look at the images."""
    if not placements:
        return {}
    recipe = request.recipe
    reference = equalized_graph(graph, inputs, recipe, seed=request.seed)
    floats = nodes_of(convolution_units(reference)[: recipe.float_convolutions])
    activation = activation_specs(reference, inputs, recipe, seed=request.seed, progress=progress)
    found: dict[str | None, fx.GraphModule] = {}
    for placement in placements:
        if placement == "xnnpack":
            found[placement] = quantize_with(reference, activation, floats, inputs, recipe, progress).converted
            make_scales_portable(found[placement])
        else:
            assert placement is not None
            # Loss-aware ranges are fixed by now; observers of other recipes look at all images.
            seen = inputs[:1] if recipe.ranges == "loss-aware" else inputs
            found[placement] = convert(reference, activation, floats, seen, placement=PLACEMENTS[placement])
    return found


def lowered_programs(
    choices: Sequence[Choice],
    options: BackendOptions,
    graphs: Mapping[str | None, fx.GraphModule],
    shape: tuple[int, ...],
    progress: Progress,
) -> list[Made]:
    """Lower the graph that each choice wants; `graphs` by placement, the float one under None."""
    made = []
    with progress.stage("Lowering", len(choices)) as advance:
        for choice in choices:
            graph = graphs[choice.backend.precisions[choice.precision].placement]
            source = Source(graph=graph, precision=choice.precision, input_shape=shape, options=options)
            program = choice.backend.lower(source)
            made.append(Made(choice=choice, graph=graph, program=program, report=report_delegation(program, graph)))
            advance(1)
    return made
