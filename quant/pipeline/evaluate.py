"""The stage that runs everything over the evaluation images: programs timed, images decoded once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

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
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.evaluate import collect_logits, labels_of
from quant.metrics.margins import fitted_temperature
from quant.metrics.share import Share
from quant.pipeline.float_graphs import Graphs
from quant.pipeline.int8_graphs import Int8Graphs, Trained
from quant.pipeline.load import Loaded
from quant.pipeline.programs import Programs
from quant.program.host import EmulatorRuntime, HostRuntime, emulator_processes
from quant.program.timing import Measured, load_emulated, measure_programs
from quant.ptq.quantizers import PLACEMENTS
from quant.thresholds import LATENCY_REPEATS

_SLOW_REPEATS = 3
"""Forwards timed of a program that is judged on a few images only, because each takes seconds."""

FLOAT = "float"


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """What all programs and graphs make of the evaluation images."""

    measured: Mapping[str, Measured]
    """By name of the choice, those that this host runs; `FLOAT` is the float network's own program."""
    logits: Mapping[str, torch.Tensor]
    """[images, outputs], as the task's `view` gives them, of `FLOAT`, of "swapped" and "ptq" where there are such, of
    each placement, and of each measured program, which may have seen fewer images."""
    findings: tuple[Finding, ...]
    """About float and the images."""
    temperature: float | None
    """Of float's logits on labelled calibration images, where those that judge have no labels."""
    failed: Mapping[str, str]
    """By name of the choice, why an emulator did not run a program to the end, where others went on."""


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


def emulator_for(programs: Programs, processes: int) -> AbstractContextManager[HostRuntime | None]:
    """The runtime of programs that an emulator runs, where there are such; of each of so many processes like this."""
    if any(program.choice.backend.emulated for program in programs.chosen):
        return EmulatorRuntime(emulator_processes(processes))
    return nullcontext()


def measure(
    runtime: HostRuntime, emulator: HostRuntime | None, network: Loaded, programs: Programs, progress: Progress
) -> dict[str, Measured]:
    """Load and time what this host runs; slow programs a few times only, an emulator's never."""
    files = {FLOAT: programs.float.data}
    files |= {p.choice.name: p.lowered.data for p in programs.chosen if p.choice.backend.runs_here}
    emulated = {p.choice.name for p in programs.chosen if p.choice.backend.emulated}
    slow = {p.choice.name for p in programs.chosen if p.choice.backend.images is not None}
    image = network.split.evaluation[0].path
    found: dict[str, Measured] = {}
    with scratch_folder() as folder:
        paths = {name: folder / f"{name}.pte" for name in files}
        for name, path in paths.items():
            with explained_writes(path):
                path.write_bytes(files[name])
        if emulator is not None:
            found |= load_emulated(emulator, {name: paths.pop(name) for name in emulated}, network.preprocess)
        for group, repeats in ((set(paths) - slow, LATENCY_REPEATS), (set(paths) & slow, _SLOW_REPEATS)):
            chosen = {name: path for name, path in paths.items() if name in group}
            found |= measure_programs(runtime, chosen, network.preprocess, image, progress, repeats=repeats)
    return found


def evaluate(
    network: Loaded,
    graphs: Graphs,
    int8: Int8Graphs,
    trained: Trained | None,
    programs: Programs,
    measured: Mapping[str, Measured],
    calibrated: Calibrated,
    progress: Progress,
    share: Share,
) -> Evaluated:
    """Run everything over the evaluation images, this process its share, and look at what float makes of them.

    Raises:
        InputError: an image that cannot be read, or a float output that is not finite.
    """
    # Logits as they can be told from what the programs put out, and as the task reads them.
    output = programs.chosen[0].output if programs.chosen else Output()
    view = network.task.view

    def compared(logits: torch.Tensor) -> torch.Tensor:
        return view(output.compared(logits))

    models: dict[str, Model] = {FLOAT: join_silu(graphs.original)}
    if graphs.float is not graphs.original:
        models["swapped"] = join_silu(graphs.float)
    if trained is not None:
        models["ptq"] = trained.before
    models |= {name: _computed(int8, name) for name in int8.by_placement}
    models = {name: _then(model, compared) for name, model in models.items()}
    models["hashes"] = hash_maker(network.preprocess)
    running = {
        p.choice.name: _then(measured[p.choice.name].run, p.output.logits_of)
        for p in programs.chosen
        if p.choice.name in measured
    }
    guarded = {
        p.choice.name: _Guarded(run=running[p.choice.name], columns=p.lowered.output_shape[-1])
        for p in programs.chosen
        if p.choice.backend.emulated and len(programs.chosen) > 1
    }
    judged: dict[str, Model] = {**running, **guarded}
    logits = collect_logits(
        models,
        network.split.evaluation,
        network.preprocess,
        progress,
        programs={name: _then(program, view) for name, program in judged.items()},
        limits={p.choice.name: p.choice.backend.images for p in programs.chosen},
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
        findings=check_reference(reference),
        temperature=_temperature(network, models[FLOAT], progress),
        failed={name: program.error for name, program in guarded.items() if program.error is not None},
    )


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


def _computed(int8: Int8Graphs, placement: str) -> nn.Module:
    """The graph of a placement, in the arithmetic of its programs where that is known."""
    converted = int8.by_placement[placement].converted
    arithmetic = PLACEMENTS[placement].arithmetic
    return converted if arithmetic is None else simulation_of(converted, arithmetic).module
