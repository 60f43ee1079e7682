"""One checkpoint, a program for every backend: images read once, ranges found once, then placed and lowered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from edge_effnet.samples import SAMPLE
from edge_effnet.weights.checkpoint import LoadOptions
from quant.artifact.recognise import require_replaceable
from quant.checks.reference import Reference, find_doubts, reservations
from quant.common.atomic_io import atomic_folder
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.data.batches import read_batches
from quant.data.calibration_check import calibration_notes
from quant.data.perceptual_hash import Calibrated
from quant.graph.finite import require_finite
from quant.graph.footprint import footprint
from quant.lower.choices import Choice, check_fits, choose
from quant.lower.options import BackendOptions
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.pipeline.fleet_artifacts import missing_row, share_float_program, write_program
from quant.pipeline.fleet_context import Context
from quant.pipeline.fleet_measure import all_logits, measure_made
from quant.pipeline.fleet_programs import lowered_programs, placed_graphs
from quant.pipeline.fleet_report import FleetOutcome, ranked
from quant.pipeline.float_graphs import export_graphs
from quant.pipeline.load import Loaded, load_checkpoint, loaded
from quant.pipeline.request import Request, check_request
from quant.program.host import HostRuntime
from quant.recipes import DEFAULT_RECIPE
from quant.report.comparison import opened, render_comparison
from quant.thresholds import DEFAULT_CALIBRATION


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetResult:
    """What `quantize_fleet` made and found out."""

    folder: Path
    outcome: FleetOutcome

    @property
    def passed(self) -> bool:
        """Whether every program that was measured holds."""
        return self.outcome.passed


def quantize_fleet(
    variant: str,
    *,
    backends: Sequence[str],
    options: BackendOptions | None = None,
    weights: str | Path = SAMPLE,
    data: str | Path = SAMPLE,
    origin: str | None = None,
    image_size: int | None = None,
    activation: str | None = None,
    calibration: int = DEFAULT_CALIBRATION,
    recipe: str = DEFAULT_RECIPE,
    out: str | Path | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Progress | None = None,
) -> FleetResult:
    """Make a folder of artifacts, one for each backend and precision, ranked.

    Args:
        variant: as for `quant.pipeline.quantize.quantize`, like all that is not named here.
        backends: as `quant.lower.choices.choose` takes them.
        options: of single backends.
        weights: see there.
        data: see there.
        origin: see there.
        image_size: see there.
        activation: see there.
        calibration: see there.
        recipe: see there.
        out: the folder; `<variant>-<recipe>-backends` by default. One that an earlier run left there is replaced.
        max_drop: judges only: float layers are searched for with a single xnnpack artifact.
        min_agreement: likewise.
        seed: see there.
        threads: see there.
        progress: told of every stage.

    Raises:
        InputError: something given cannot be used; an impossible backend, precision, activation or image size is
            refused before any work.
        MachineError: the machine stood in the way.
    """
    choices = choose(backends)
    request = check_request(
        variant,
        weights=weights,
        data=data,
        options=LoadOptions(origin=origin, image_size=image_size),
        activation=activation,
        calibration=calibration,
        recipe=recipe,
        backend="backends",
        backends=backends,
        backend_options=options,
        out=out,
        max_drop=max_drop,
        min_agreement=min_agreement,
        seed=seed,
        threads=threads,
        qat=None,
    )
    if request.recipe.trains:
        raise InputError(
            f"--recipe {recipe} trains xnnpack's arithmetic: make that program alone (without --backend), or choose "
            "--recipe int8 for several backends."
        )
    request = replace(request, targeted=False)
    check_fits(choices, activation=request.final_activation, image_size=image_size or request.spec.resolution)
    progress, watch = progress or NoProgress(), Stopwatch()
    torch.manual_seed(seed)
    with watch.measure("load"):
        checkpoint = load_checkpoint(request)
        check_fits(choices, activation=request.final_activation, image_size=checkpoint.preprocess.crop)
    with loaded(request, checkpoint, progress, watch) as network:
        return _make(request, choices, options or BackendOptions(), network, progress, watch)


def _make(
    request: Request,
    choices: Sequence[Choice],
    options: BackendOptions,
    network: Loaded,
    progress: Progress,
    watch: Stopwatch,
) -> FleetResult:
    """Everything after loading."""
    with watch.measure("load"):
        inputs = read_batches(network.split.calibration, network.preprocess, progress)
        require_finite(network.checkpoint.model, inputs, request.weights)
    with watch.measure("export"):
        exported = export_graphs(network, inputs, progress)
        graph = exported.float
    with watch.measure("quantize"):
        suspicions = calibration_notes(network.checkpoint.model, inputs)
        wanted = [choice for choice in choices if choice.missing is None]
        placements = {choice.backend.precisions[choice.precision].placement for choice in wanted}
        graphs = {None: graph, **placed_graphs(request, graph, placements - {None}, inputs, progress)}
    with watch.measure("lower"):
        made = lowered_programs(wanted, options, graphs, network.input_shape, progress)
        float_program = lower_xnnpack(exported.original, network.input_shape)
    context = Context(
        request=request,
        network=network,
        original=exported.original,
        float_program=float_program,
        footprint=footprint(graph),
        calibrated=Calibrated.on(network.split.calibration, inputs, network.preprocess),
        notes=(*network.notes, *suspicions),
    )
    with (
        atomic_folder(request.out) as folder,
        HostRuntime(request.threads) as runtime,
        scratch_folder() as scratch,
    ):
        with watch.measure("time"):
            measured = measure_made(context, made, runtime, scratch, progress)
        with watch.measure("evaluate"):
            logits = all_logits(context, made, measured, graphs, progress)
            reference = Reference(
                run=measured["float"].run,
                logits=logits["float"],
                images=context.images,
                class_names=network.class_names,
                preprocess=network.preprocess,
                hashes=logits.pop("hashes"),
                calibrated=context.calibrated,
            )
            doubts = find_doubts(reference)
        with watch.measure("write"):
            rows = [write_program(folder, context, item, measured, logits, graphs, runtime, doubts) for item in made]
            share_float_program([folder / item.choice.name / "float.pte" for item in made])
        outcome = FleetOutcome(
            folder=str(request.out),
            variant=request.spec.name,
            recipe=request.recipe.name,
            rows=ranked([*rows, *(missing_row(choice) for choice in choices if choice.missing is not None)]),
            notes=(*context.notes, *reservations(reference)),
            seconds=watch.total(),
        )
        (folder / "fleet.json").write_text(json.dumps(outcome.to_json(), indent=2) + "\n")
        (folder / "report.html").write_bytes(render_comparison(opened([folder]), beside=folder))
        # Minutes have passed.
        require_replaceable(request.out)
    return FleetResult(folder=request.out, outcome=outcome)
