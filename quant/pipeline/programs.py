"""The stage that lowers: each choice's graph to a program, and the float network to its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import fx

from edge_effnet.errors import InputError
from quant.common.progress import Progress
from quant.lower.backend import Source
from quant.lower.choices import Choice
from quant.lower.delegation import DelegationReport, report_delegation
from quant.lower.output import Output, with_output
from quant.lower.result import LoweredProgram
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.pipeline.float_graphs import Graphs
from quant.pipeline.int8_graphs import Int8Graphs
from quant.pipeline.load import Loaded


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """A lowered program and what it was made from."""

    choice: Choice
    graph: fx.GraphModule
    """What was lowered."""
    lowered: LoweredProgram
    delegation: DelegationReport
    output: Output
    """What it puts out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """Everything that was lowered."""

    float: LoweredProgram
    """The float network's own, of logits, which is what all others are judged against."""
    chosen: Sequence[Program]
    failed: Mapping[str, str]
    """By name of the choice, why there is no program, where others went on."""


def lower_programs(network: Loaded, graphs: Graphs, int8: Int8Graphs, progress: Progress) -> Programs:
    """Lower the graph that each choice wants.

    Raises:
        InputError: none of them could be made.
        ValueError: the network holds what a backend does not run.
    """
    request = network.request
    wanted = [choice for choice in request.choices if choice.missing is None]
    chosen, failed = [], {}
    with progress.stage("Lowering", 1 + len(wanted)) as advance:
        for choice in wanted:
            placement = choice.placement
            logits = graphs.float if placement is None else int8.by_placement[placement].converted
            graph, output = with_output(logits, request.output)
            source = Source(
                graph=graph,
                precision=choice.precision,
                input_shape=network.input_shape,
                options=request.config.backend_options,
                int8_output=output.int8,
                normalization=request.normalization(network.preprocess),
            )
            advance(1)
            try:
                lowered = choice.backend.lower(source)
            except InputError as error:
                if len(wanted) == 1:
                    raise
                failed[choice.name] = str(error)
                continue
            report = report_delegation(lowered, graph)
            if placement is not None and placement in int8.mixed:
                report = replace(report, facts=(int8.mixed[placement], *report.facts))
            program = Program(choice=choice, graph=graph, lowered=lowered, delegation=report, output=output)
            chosen.append(program)
        float_program = lower_xnnpack(graphs.original, network.input_shape)
        advance(1)
    if failed and not chosen:
        raise InputError(" ".join(failed.values()))
    return Programs(float=float_program, chosen=chosen, failed=failed)
