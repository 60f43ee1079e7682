"""The stage that runs everything over the evaluation images: programs timed, images decoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from quant.checks.reference import Reference, check_reference
from quant.common.atomic_io import explained_writes
from quant.common.findings import Finding
from quant.common.progress import Progress
from quant.data.batches import Model
from quant.data.perceptual_hash import Calibrated, hash_maker
from quant.graph.export import join_silu
from quant.lower.output import Output
from quant.lower.result import LoweredProgram
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.evaluate import collect_logits, labels_of
from quant.metrics.margins import fitted_temperature
from quant.metrics.share import Share
from quant.pipeline.float_graphs import Graphs
from quant.pipeline.int8_graphs import Int8Graphs, Trained
from quant.pipeline.load import Loaded
from quant.pipeline.programs import Program, Programs
from quant.program.host import EmulatorRuntime, HostRuntime, emulator_processes
from quant.program.timing import Measured, load_emulated, measure_programs
from quant.ptq.quantizers import PLACEMENTS
from quant.thresholds import LATENCY_REPEATS, SIMULATED

_SLOW_REPEATS = 3
"""Forwards timed of a program that is judged on a few images only, because each takes seconds."""

FLOAT = "float"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loads:
    """The programs that this host runs, loaded and timed."""

    measured: Mapping[str, Measured]
    """By name of the choice; `FLOAT` is the float network's own program."""
    failed: Mapping[str, str]
    """By name of the choice, why an emulator did not load a program or run it to the end, where others go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated(Loads):
    """What all programs and graphs make of the evaluation images."""

    logits: Mapping[str, torch.Tensor]
    """[images, outputs], as the task's `view` gives them, of `FLOAT`, of "swapped" and "ptq" where there are such, of
    each placement, and of each measured program; these two may have seen fewer images, spread evenly."""
    findings: tuple[Finding, ...]
    """About float and the images."""
    temperature: float | None
    """Of float's logits on labelled calibration images, where those that judge have no labels."""


@dataclass(kw_only=True, slots=True)
class _Guarded:
    """A program in an emulator: what ends it ends no other program's run."""

    run: Model
    columns: int
    """Numbers that it puts out for an image."""
    error: str | None = None

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.error is None:
            try:
                return self.run(inputs)
            except InputError as error:
                self.error = str(error)
        return torch.full((len(inputs), self.columns), torch.nan)


def measure(
    runtime: HostRuntime, stack: ExitStack, network: Loaded, programs: Programs, progress: Progress, among: int
) -> Loads:
    """Load and time what this host runs; slow programs a few times only, an emulator's never.

    `stack` keeps the emulators, each program's its own: what ends one ends no other. `among` so many processes like
    this one the cores are shared.

    Raises:
        InputError: a program that the runtime refuses, or the only one that there is and an emulator refuses.
    """
    here = [program for program in programs.chosen if program.choice.backend.runs_here]
    emulated = [p.choice.name for p in here if p.choice.backend.emulated]
    slow = {p.choice.name for p in here if p.choice.backend.images is not None}
    image = network.split.evaluation[0].path
    found: dict[str, Measured] = {}
    failed: dict[str, str] = {}
    with scratch_folder() as folder:
        paths = _write_programs(folder, programs.float, here)
        for name in emulated:
            emulator = stack.enter_context(EmulatorRuntime(emulator_processes(len(emulated), among)))
            try:
                found |= load_emulated(emulator, {name: paths.pop(name)}, network.preprocess)
            except InputError as error:
                if len(programs.chosen) == 1:
                    raise
                failed[name] = str(error)
        for is_slow, repeats in ((False, LATENCY_REPEATS), (True, _SLOW_REPEATS)):
            chosen = {name: path for name, path in paths.items() if (name in slow) == is_slow}
            found |= measure_programs(runtime, chosen, network.preprocess, image, progress, repeats=repeats)
    return Loads(measured=found, failed=failed)


def _write_programs(folder: Path, float_program: LoweredProgram, programs: Sequence[Program]) -> dict[str, Path]:
    """Write programs where runtimes read them; their files by name, what an emulator runs instead beside them."""
    lowered = {FLOAT: float_program, **{program.choice.name: program.lowered for program in programs}}
    for name, program in lowered.items():
        for suffix, data in {".pte": program.data, **program.reference}.items():
            path = folder / f"{name}{suffix}"
            with explained_writes(path):
                path.write_bytes(data)
    return {name: folder / f"{name}.pte" for name in lowered}


def evaluate(
    network: Loaded,
    graphs: Graphs,
    int8: Int8Graphs,
    trained: Trained | None,
    programs: Programs,
    loads: Loads,
    calibrated: Calibrated,
    progress: Progress,
    share: Share,
) -> Evaluated:
    """Run everything over the evaluation images, this process its share, and look at what float makes of them.

    Raises:
        InputError: an image that cannot be read, or a float output that is not finite.
    """
    measured = loads.measured
    # Logits as they can be told from what the programs put out, and as the task reads them.
    output = programs.chosen[0].output if programs.chosen else Output()
    view = network.task.view

    def compared(logits: torch.Tensor) -> torch.Tensor:
        return view(output.compared(logits))

    models = {name: _then(model, compared) for name, model in _models(graphs, int8, trained).items()}
    runs = _runs(programs, loads)
    unmeasured = {p.choice.placement for p in programs.chosen if p.choice.name not in measured}
    logits = collect_logits(
        {**models, "hashes": hash_maker(network.preprocess)},
        network.split.evaluation,
        network.preprocess,
        progress,
        programs={name: _then(program, view) for name, program in runs.items()},
        limits={
            **{p.choice.name: p.choice.backend.images for p in programs.chosen},
            # Where no program runs here, the simulation stands for it.
            **{name: SIMULATED for name in int8.by_placement if name not in unmeasured},
        },
        share=share,
    )
    reference = Reference(
        task=network.task,
        run=_then(measured[FLOAT].run, compared),
        logits=logits[FLOAT],
        images=network.split.evaluation,
        class_names=network.class_names,
        preprocess=network.preprocess,
        pte_logits=None,
        recorded=None,
        hashes=logits.pop("hashes"),
        calibrated=calibrated,
    )
    return Evaluated(
        measured=measured,
        logits=logits,
        findings=check_reference(reference, progress),
        temperature=_temperature(network, models[FLOAT], progress),
        failed={name: run.error for name, run in runs.items() if isinstance(run, _Guarded) and run.error is not None},
    )


def _models(graphs: Graphs, int8: Int8Graphs, trained: Trained | None) -> dict[str, Model]:
    """What runs in this process, by its name among the logits; graphs in their programs' arithmetic where known."""
    models: dict[str, Model] = {FLOAT: join_silu(graphs.original)}
    if graphs.float is not graphs.original:
        models["swapped"] = join_silu(graphs.float)
    if trained is not None:
        models["ptq"] = trained.before
    for placement, quantized in int8.by_placement.items():
        graph, arithmetic = quantized.converted, PLACEMENTS[placement].arithmetic
        models[placement] = graph if arithmetic is None else simulation_of(graph, arithmetic).module
    return models


def _runs(programs: Programs, loads: Loads) -> dict[str, Model]:
    """What gives each program's logits; in an emulator, where there are others that are to go on, whatever comes."""
    found: dict[str, Model] = {}
    for program in programs.chosen:
        name = program.choice.name
        if name in loads.measured:
            found[name] = _then(loads.measured[name].run, program.output.logits_of)
        if program.choice.backend.emulated and len(programs.chosen) > 1:
            run, columns = found.get(name, nn.Identity()), program.lowered.output_shape[-1]
            found[name] = _Guarded(run=run, columns=columns, error=loads.failed.get(name))
    return found


def _temperature(network: Loaded, model: Model, progress: Progress) -> float | None:
    split = network.split
    labels = labels_of(split.calibration)
    if not network.task.exclusive or labels is None or labels_of(split.evaluation) is not None:
        return None
    logits = collect_logits({FLOAT: model}, split.calibration, network.preprocess, progress)[FLOAT]
    # A network is surer of the images that it was trained on than it deserves: they may calm it, never the reverse.
    return max(1.0, fitted_temperature(logits, labels))


def _then(model: Model, change: Model) -> Model:
    return lambda x: change(model(x))
