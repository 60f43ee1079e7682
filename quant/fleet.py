"""One checkpoint, a program for every backend: photographs read once, ranges found once, then placed and lowered."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import fx

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError
from edge_effnet.fuse import fold_for_inference
from edge_effnet.images import quiet_pillow
from edge_effnet.samples import SAMPLE, sample_weights
from edge_effnet.weights import Checkpoint, load_pretrained
from edge_effnet.weights.checkpoint import LoadOptions
from quant import pipeline
from quant.artifact import Golden, require_replaceable, write_artifact
from quant.atomic import atomic_folder
from quant.batches import iterate_batches
from quant.bundle import bundle_program, verify_bundle
from quant.calibration_check import calibration_notes
from quant.data import PhotoSplit, split_photos
from quant.evaluate import Fidelity, fidelity
from quant.export import export_graph
from quant.fleet_report import MEASURED, MISSING, NOT_HERE, FleetOutcome, FleetRow, ranked
from quant.float_layers import nodes_of, units
from quant.footprint import Footprint, footprint, phone_warnings
from quant.lower.backend import Source
from quant.lower.choices import Choice, check_fits, choose
from quant.lower.delegation import DelegationReport, report_delegation
from quant.lower.options import BackendOptions
from quant.lower.result import LoweredProgram
from quant.lower.xnnpack import lower_xnnpack
from quant.measure import Measured, measure_programs
from quant.outcome import Outcome, ProgramFigures
from quant.placement import PLACEMENTS
from quant.progress import NoProgress, Progress, Stopwatch
from quant.ptq import activation_specs, convert, equalized_graph, quantize_with
from quant.recipes import DEFAULT_RECIPE
from quant.runtime import HostRuntime
from quant.sample_photos import photo_folder
from quant.simulate import simulation_of
from quant.summary import Evidence, summarize
from quant.tolerances import DEFAULT_CALIBRATION, GOLDEN_COUNT

_SLOW_REPEATS = 3
"""Forwards timed of a program that is judged on a few photographs only, because each takes seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetResult:
    """What `quantize_fleet` made and found out."""

    folder: Path
    outcome: FleetOutcome

    @property
    def passed(self) -> bool:
        """Whether every program that was measured holds."""
        return self.outcome.passed


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """A program and what it was made from."""

    choice: Choice
    graph: fx.GraphModule
    """What was lowered."""
    program: LoweredProgram
    report: DelegationReport


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """What every program of a run shares."""

    request: Any
    """`quant.pipeline`'s checked arguments."""
    checkpoint: Checkpoint
    split: PhotoSplit
    float_program: LoweredProgram
    footprint: Footprint
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return pipeline._class_names(self.checkpoint, self.split)


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
        variant: as for `quant.pipeline.quantize`, like all that is not named here.
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
    folder = Path(out) if out is not None else None
    request = pipeline._check_request(
        variant,
        weights=weights,
        data=data,
        options=LoadOptions(origin=origin, image_size=image_size),
        activation=activation,
        calibration=calibration,
        recipe=recipe,
        backend="xnnpack",
        out=folder or Path(f"{variant}-{recipe}-backends"),
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
    request = replace(request, searches=False, out=folder or Path(f"{request.spec.name}-{recipe}-backends"))
    require_replaceable(request.out)
    swapped = activation or request.spec.activation
    check_fits(choices, activation=swapped, image_size=image_size or request.spec.resolution)
    progress, watch = progress or NoProgress(), Stopwatch()
    torch.manual_seed(seed)
    with watch.measure("load"):
        source = sample_weights(request.spec.name) if request.sample else request.weights
        checkpoint = load_pretrained(source, variant=request.spec.name, options=request.options)
        check_fits(choices, activation=swapped, image_size=checkpoint.preprocess.crop)
    with ExitStack() as stack:
        with watch.measure("load"):
            photographs = photo_folder(request.data, checkpoint.preprocess, progress, calibration=calibration)
            split = split_photos(
                stack.enter_context(photographs),
                calibration=calibration,
                seed=seed,
                class_names=checkpoint.class_names,
                num_classes=checkpoint.num_classes,
            )
        return _make(request, choices, options or BackendOptions(), checkpoint, split, progress, watch)


def _make(
    request: Any,
    choices: Sequence[Choice],
    options: BackendOptions,
    checkpoint: Checkpoint,
    split: PhotoSplit,
    progress: Progress,
    watch: Stopwatch,
) -> FleetResult:
    """Everything after loading."""
    model = checkpoint.model
    if request.activation is not None:
        model = swap_activation(model, request.activation)
    crop = checkpoint.preprocess.crop
    with watch.measure("export"):
        graph = export_graph(fold_for_inference(model, crop), crop)
    with watch.measure("quantize"):
        inputs = pipeline._read_photos(split.calibration, checkpoint.preprocess, progress)
        suspicions = calibration_notes(checkpoint.model, inputs)
        wanted = [choice for choice in choices if choice.missing is None]
        placements = {choice.backend.precisions[choice.precision].placement for choice in wanted}
        graphs = _placed(request, graph, placements - {None}, inputs, progress)
    with watch.measure("lower"):
        made = _lowered(wanted, options, {None: graph, **graphs}, (1, 3, crop, crop), progress)
        float_program = lower_xnnpack(graph, (1, 3, crop, crop))
    run = _Run(
        request=request,
        checkpoint=checkpoint,
        split=split,
        float_program=float_program,
        footprint=footprint(graph),
        notes=(*pipeline._sample_notes(request), *checkpoint.notes, *split.notes, *suspicions),
    )
    with (
        atomic_folder(request.out) as folder,
        HostRuntime(request.threads) as runtime,
        tempfile.TemporaryDirectory(prefix="edge-effnet-") as scratch,
    ):
        with watch.measure("time"):
            measured = _measure(run, made, runtime, Path(scratch), progress)
        with watch.measure("evaluate"):
            logits = _logits(run, made, measured, {None: graph, **graphs}, progress)
        with watch.measure("write"):
            rows = [_write(folder, run, item, measured, logits, runtime) for item in made]
            _share_float_program([folder / item.choice.name / "float.pte" for item in made])
        outcome = FleetOutcome(
            folder=str(request.out),
            variant=request.spec.name,
            recipe=request.recipe.name,
            rows=ranked([*rows, *(_missing_row(choice) for choice in choices if choice.missing is not None)]),
            notes=run.notes,
            seconds=watch.total(),
        )
        (folder / "fleet.json").write_text(json.dumps(outcome.to_json(), indent=2) + "\n")
    return FleetResult(folder=request.out, outcome=outcome)


def _placed(
    request: Any,
    graph: fx.GraphModule,
    placements: set[str | None],
    inputs: list[torch.Tensor],
    progress: Progress,
) -> dict[str | None, fx.GraphModule]:
    """Quantize for each placement, with ranges from one look at the photographs."""
    if not placements:
        return {}
    recipe = request.recipe
    reference = equalized_graph(graph, inputs, recipe, seed=request.seed)
    floats = nodes_of(units(reference)[: recipe.float_convolutions])
    activation = activation_specs(reference, inputs, recipe, seed=request.seed, progress=progress)
    found: dict[str | None, fx.GraphModule] = {}
    for placement in placements:
        if placement == "xnnpack":
            found[placement] = quantize_with(reference, activation, floats, inputs, recipe, progress)
        else:
            assert placement is not None
            # Loss-aware ranges are fixed by now; observers of other recipes look at all photographs.
            seen = inputs[:1] if recipe.ranges == "loss-aware" else inputs
            found[placement] = convert(reference, activation, floats, seen, placement=PLACEMENTS[placement])
    return found


def _lowered(
    choices: Sequence[Choice],
    options: BackendOptions,
    graphs: Mapping[str | None, fx.GraphModule],
    shape: tuple[int, ...],
    progress: Progress,
) -> list[_Made]:
    made = []
    with progress.stage("Lowering", len(choices)) as advance:
        for choice in choices:
            graph = graphs[choice.backend.precisions[choice.precision].placement]
            source = Source(graph=graph, precision=choice.precision, input_shape=shape, options=options)
            program = choice.backend.lower(source)
            made.append(_Made(choice=choice, graph=graph, program=program, report=report_delegation(program, graph)))
            advance(1)
    return made


def _measure(
    run: _Run, made: Sequence[_Made], runtime: HostRuntime, scratch: Path, progress: Progress
) -> dict[str, Measured]:
    """Load and time what this host runs; "float" is the float network's own program."""
    programs = {"float": run.float_program, **{m.choice.name: m.program for m in made if m.choice.backend.runs_here}}
    paths = {name: scratch / f"{name}.pte" for name in programs}
    for name, path in paths.items():
        path.write_bytes(programs[name].data)
    with quiet_pillow():
        example = run.checkpoint.preprocess(run.split.evaluation[0].path)[None]
    slow = {m.choice.name for m in made if m.choice.backend.photographs is not None}
    measured = measure_programs(runtime, {n: p for n, p in paths.items() if n not in slow}, example, progress)
    for name in slow & set(paths):
        loaded = runtime.load(paths[name], name)
        times = runtime.time([loaded], example, _SLOW_REPEATS)[name]
        figures = ProgramFigures(
            latency_ms=statistics.median(times),
            latency_p90_ms=max(times),
            load_ms=loaded.load_ms,
            size_bytes=paths[name].stat().st_size,
        )
        measured[name] = Measured(runtime=runtime, program=loaded, figures=figures)
    return measured


def _logits(
    run: _Run,
    made: Sequence[_Made],
    measured: Mapping[str, Measured],
    graphs: Mapping[str | None, fx.GraphModule],
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Run everything over photographs that are decoded once; slow programs see every n-th photograph only.

    Returns:
        For "float", each placement and each measured program: float32 [photographs, classes].
    """
    photos = run.split.evaluation
    limits = {m.choice.name: m.choice.backend.photographs or len(photos) for m in made}
    models: dict[str, Any] = {"float": graphs[None]}
    for placement, graph in graphs.items():
        if placement is not None:
            models[placement] = simulation_of(graph).module if placement == "xnnpack" else graph
    programs = {name: program.run for name, program in measured.items() if name != "float"}
    rows: dict[str, list[torch.Tensor]] = {name: [] for name in (*models, *programs)}

    def run_all(which: Mapping[str, Any], batch: torch.Tensor, done: int) -> None:
        with torch.no_grad():
            for name, model in which.items():
                kept = [i - done for i in chosen_rows(len(photos), limits.get(name)) if 0 <= i - done < len(batch)]
                if kept:
                    rows[name].append(model(batch[kept]).to(torch.float32))

    done = 0
    with (
        progress.stage("Evaluating", len(photos)) as advance,
        quiet_pillow(),
        # Programs run in the runtime's own process: graphs are computed here meanwhile.
        ThreadPoolExecutor(max_workers=1) as beside,
    ):
        for batch in iterate_batches([p.path for p in photos], run.checkpoint.preprocess):
            other = beside.submit(run_all, programs, batch, done)
            run_all(models, batch, done)
            other.result()
            done += len(batch)
            advance(len(batch))
    return {name: torch.cat(parts) for name, parts in rows.items()}


def chosen_rows(photographs: int, limit: int | None) -> list[int]:
    """Indices of at most `limit` photographs, spread evenly."""
    count = min(photographs, limit or photographs)
    return [i * photographs // count for i in range(count)]


def _write(
    folder: Path,
    run: _Run,
    made: _Made,
    measured: Mapping[str, Measured],
    logits: Mapping[str, torch.Tensor],
    runtime: HostRuntime,
) -> FleetRow:
    """Judge one program and write its artifact."""
    choice = made.choice
    program = measured.get(choice.name)
    placement = choice.backend.precisions[choice.precision].placement
    if program is not None:
        golden = pipeline._golden(program, run.split.evaluation, run.checkpoint)
    else:
        golden = _expected(run, logits[placement or "float"])
    bundle = bundle_program(made.program.data, golden)
    if program is not None:
        verify_bundle(runtime, bundle, len(golden))
    outcome = None if program is None else _judge(run, made, program, measured["float"], logits)
    simulated = fidelity(logits["float"], logits[placement]) if placement and program is None else None
    row = FleetRow(
        name=choice.name,
        backend=choice.backend.name,
        precision=choice.precision,
        devices=choice.backend.devices,
        status=NOT_HERE if program is None else MEASURED,
        reason=f"not measured here: runs on {choice.backend.devices} only" if program is None else "",
        size_bytes=len(made.program.data),
        report=made.report,
        outcome=outcome,
        simulated=simulated,
        bundle="verified here" if program is not None else "written, not run here",
        warnings=phone_warnings(run.footprint, len(made.program.data)),
    )
    write_artifact(
        folder / choice.name,
        model=made.program.data,
        float_model=run.float_program.data,
        classes=run.classes,
        golden=golden,
        layers=[],
        manifest=_manifest(run, made, row, simulated),
        extra={
            "model.bpte": bundle,
            "delegation.json": (json.dumps(made.report.to_json(), indent=1) + "\n").encode(),
        },
    )
    return row


def _expected(run: _Run, outputs: torch.Tensor) -> list[Golden]:
    """Golden pairs of a program that does not run here: the outputs of the graph that it was made from."""
    photos = run.split.evaluation
    rows = range(0, len(photos), max(1, len(photos) // GOLDEN_COUNT))[:GOLDEN_COUNT]
    with quiet_pillow():
        return [
            Golden(photograph=photos[i].name, input=run.checkpoint.preprocess(photos[i].path), output=outputs[i])
            for i in rows
        ]


def _judge(
    run: _Run, made: _Made, program: Measured, float_program: Measured, logits: Mapping[str, torch.Tensor]
) -> Outcome:
    choice, request = made.choice, run.request
    rows = chosen_rows(len(run.split.evaluation), choice.backend.photographs)
    placement = choice.backend.precisions[choice.precision].placement
    seen = {"float": logits["float"][rows], "pte": logits[choice.name]}
    if placement is not None:
        seen["quantized"] = logits[placement][rows]
    broken = int((~seen["pte"].isfinite().all(dim=1)).sum())
    if broken:
        raise InputError(
            f"{choice.name}: the output for {broken} photographs is not finite: values beyond what "
            f"{choice.precision} holds; leave this backend out."
        )
    return summarize(
        Evidence(
            artifact=str(request.out / choice.name),
            variant=request.spec.name,
            recipe=_recipe_name(run, choice),
            backend=choice.backend.name,
            threads=request.threads,
            logits=seen,
            photos=[run.split.evaluation[i] for i in rows],
            class_names=run.classes,
            float_program=float_program.figures,
            pte_program=program.figures,
            delegation=made.program.delegation,
            calibration_images=len(run.split.calibration) if placement else 0,
            search=None,
            training=None,
            notes=run.notes,
            seconds={"total": 0.0},
        ),
        max_drop=request.max_drop,
        min_agreement=request.min_agreement,
    )


def _recipe_name(run: _Run, choice: Choice) -> str:
    """The recipe where one was applied, else the precision."""
    placed = choice.backend.precisions[choice.precision].placement is not None
    return str(run.request.recipe.name) if placed else choice.precision


def _manifest(run: _Run, made: _Made, row: FleetRow, simulated: Fidelity | None) -> dict[str, Any]:
    choice = made.choice
    if row.outcome is not None:
        verdict = row.outcome.to_json()
    else:
        verdict = {
            "verdict": NOT_HERE,
            "reasons": [row.reason],
            "float": {"size_bytes": len(run.float_program.data)},
            "pte": {"size_bytes": row.size_bytes},
            "simulated": None
            if simulated is None
            else {"agreement": simulated.agreement, "sqnr_db": simulated.sqnr_db},
        }
    complete = pipeline._manifest(run.checkpoint, run.split, run.request, verdict, made.program)
    complete |= {"backend": choice.backend.name, "precision": choice.precision}
    if choice.backend.precisions[choice.precision].placement is None:
        complete["recipe"] = {"name": choice.precision, "seed": run.request.seed}
    return complete


def _share_float_program(paths: Sequence[Path]) -> None:
    """Let all artifacts share one float.pte on the disk, where it can."""
    for path in paths[1:]:
        link = path.with_suffix(".link")
        try:
            os.link(paths[0], link)
        except OSError:
            return
        link.replace(path)


def _missing_row(choice: Choice) -> FleetRow:
    assert choice.missing is not None
    return FleetRow(
        name=choice.name,
        backend=choice.backend.name,
        precision=choice.precision,
        devices=choice.backend.devices,
        status=MISSING,
        reason=choice.missing,
    )
