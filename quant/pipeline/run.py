"""What a run does once weights and images are known to be usable, stage by stage."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from quant.artifact.model import Artifact
from quant.common.progress import Progress, Stopwatch
from quant.graph.footprint import footprint
from quant.graph.memory import give_back_freed_memory
from quant.pipeline.evaluate import evaluate, measure
from quant.pipeline.float_graphs import export_graphs, require_lowerable
from quant.pipeline.int8_graphs import analyze_graphs, finish_graphs, quantize_graphs, train_graph
from quant.pipeline.judge import Run
from quant.pipeline.load import Calibration, Loaded
from quant.pipeline.programs import lower_programs
from quant.pipeline.results import RunOutcome
from quant.pipeline.write import write_many, write_one
from quant.program.host import HostRuntime
from quant.training.distributed import Group, in_turn
from quant.verdict.outcome import Outcome

Written = tuple[Artifact, Outcome] | RunOutcome
"""One artifact with its outcome, or that of a folder of them."""


def run_stages(
    network: Loaded, calibration: Calibration, progress: Progress, watch: Stopwatch, group: Group
) -> Written | None:
    """Everything after loading, stage by stage; None for processes that only helped to train or to evaluate."""
    request, inputs = network.request, calibration.inputs
    with watch.measure("export"):
        graphs = export_graphs(network, inputs, progress)
        require_lowerable(network, graphs)
    with watch.measure("quantize"):
        int8 = quantize_graphs(network, graphs, inputs, progress)
    trained = None
    if request.recipe.trains:
        with watch.measure("train"):
            trained = train_graph(network, graphs, int8, progress, group)
        if not group.leads:
            return None
        group = replace(group, world=1)  # the others have gone
    finish_graphs(int8)
    give_back_freed_memory()
    # Started before it is asked for anything: its imports take seconds.
    with HostRuntime(request.config.threads) as runtime, ExitStack() as emulators:
        with watch.measure("analyze"):
            layers = analyze_graphs(network, int8, progress)
        give_back_freed_memory()
        with watch.measure("lower"):
            programs = lower_programs(network, graphs, int8, progress)
        # One process after the other: two at once would time each other.
        with watch.measure("time"), in_turn(group):
            loads = measure(runtime, emulators, network, programs, progress, group.world)
        with watch.measure("evaluate"):
            evaluated = evaluate(
                network, graphs, int8, trained, programs, loads, calibration.seen, progress, group.share
            )
        if not group.leads:
            return None
        run = Run(
            request=request,
            network=network,
            int8=int8,
            trained=trained,
            layers=layers,
            programs=programs,
            evaluated=evaluated,
            footprint=footprint(graphs.float),
            calibration=calibration,
            watch=watch,
        )
        return write_one(run) if request.alone else write_many(run)
