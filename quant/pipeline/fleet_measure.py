"""Time and run the programs that this host has a runtime for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import fx

from edge_effnet.images import quiet_pillow
from quant.common.progress import Progress
from quant.common.subsample import subsample
from quant.data.batches import iterate_batches
from quant.data.perceptual_hash import hash_maker
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.evaluate import LogitRows
from quant.pipeline.fleet_context import Context
from quant.pipeline.fleet_programs import Made
from quant.program.host import HostRuntime
from quant.program.timing import Measured, measure_programs

_SLOW_REPEATS = 3
"""Forwards timed of a program that is judged on a few images only, because each takes seconds."""


def measure_made(
    context: Context, made: Sequence[Made], runtime: HostRuntime, scratch: Path, progress: Progress
) -> dict[str, Measured]:
    """Load and time what this host runs; "float" is the float network's own program."""
    programs = {
        "float": context.float_program,
        **{m.choice.name: m.program for m in made if m.choice.backend.runs_here},
    }
    paths = {name: scratch / f"{name}.pte" for name in programs}
    for name, path in paths.items():
        path.write_bytes(programs[name].data)
    preprocess, image = context.network.preprocess, context.images[0].path
    slow = {m.choice.name for m in made if m.choice.backend.images is not None}
    quick = {n: p for n, p in paths.items() if n not in slow}
    measured = measure_programs(runtime, quick, preprocess, image, progress)
    few = {n: p for n, p in paths.items() if n in slow}
    return measured | measure_programs(runtime, few, preprocess, image, progress, repeats=_SLOW_REPEATS)


def all_logits(
    context: Context,
    made: Sequence[Made],
    measured: Mapping[str, Measured],
    graphs: Mapping[str | None, fx.GraphModule],
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Run everything over images that are decoded once; slow programs see every n-th image only.

    Returns:
        For "float", "swapped" (where the activation was), each placement and each measured program: float32
        [images, classes]. For "hashes" [images, 64].
    """
    images = context.images
    limits = {m.choice.name: m.choice.backend.images or len(images) for m in made}
    models: dict[str, Any] = {"float": context.original}
    if graphs[None] is not context.original:
        models["swapped"] = graphs[None]
    for placement, graph in graphs.items():
        if placement is not None:
            models[placement] = simulation_of(graph).module if placement == "xnnpack" else graph
    models["hashes"] = hash_maker(context.network.preprocess)
    programs = {name: program.run for name, program in measured.items() if name != "float"}
    seen = {name: subsample(len(images), limits.get(name)) for name in (*models, *programs)}
    rows = {name: LogitRows(len(indices)) for name, indices in seen.items()}

    def run_all(which: Mapping[str, Any], batch: torch.Tensor, done: int) -> None:
        with torch.no_grad():
            for name, model in which.items():
                kept = [i - done for i in seen[name] if 0 <= i - done < len(batch)]
                if kept:
                    rows[name].add(model(batch[kept]))

    done = 0
    with (
        progress.stage("Evaluating", len(images)) as advance,
        quiet_pillow(),
        # Programs run in the runtime's own process: graphs are computed here meanwhile.
        ThreadPoolExecutor(max_workers=1) as beside,
    ):
        for batch in iterate_batches([p.path for p in images], context.network.preprocess):
            other = beside.submit(run_all, programs, batch, done)
            run_all(models, batch, done)
            other.result()
            done += len(batch)
            advance(len(batch))
    return {name: found.whole() for name, found in rows.items()}
