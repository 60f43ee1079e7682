"""`quantize`: weights and images in, an artifact folder with a verdict out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from edge_effnet.weights.checkpoint import LoadOptions
from quant.analysis.fallback_cost import float_layers
from quant.analysis.layers import LayerReport, analyze
from quant.analysis.mixed_precision import Found, search_float_layers
from quant.analysis.transfer import Judged, Target
from quant.artifact.bundle import bundle_program, verify_bundle
from quant.artifact.golden import golden_images, golden_pairs
from quant.artifact.model import Artifact, write_artifact
from quant.artifact.recognise import changed, check_command
from quant.checks.dead_layers import program_doubts
from quant.checks.reference import Reference, find_doubts, reservations
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.common.subsample import subsample
from quant.data.batches import batch_size_for, read_batches
from quant.data.calibration_check import calibration_notes
from quant.data.perceptual_hash import Calibrated, hash_maker
from quant.data.split import DataSplit
from quant.graph.finite import require_finite
from quant.graph.footprint import footprint, phone_warnings
from quant.graph.memory import give_back_freed_memory
from quant.lower.delegation import report_delegation
from quant.lower.table import find_backend
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.lower.xnnpack.portable_scales import make_scales_portable
from quant.lower.xnnpack.simulator import simulation_of
from quant.metrics.evaluate import collect_logits, labels_of
from quant.pipeline.float_graphs import Graphs, export_graphs
from quant.pipeline.load import Loaded, load_checkpoint, loaded
from quant.pipeline.manifest import describe
from quant.pipeline.request import Request, check_request
from quant.program.host import HostRuntime
from quant.program.reader import parse_pte
from quant.program.timing import measure_bytes
from quant.ptq.steps import Quantized, quantize_beside
from quant.qat.options import QatOptions
from quant.qat.run import QatReport, require_place, train_quantized
from quant.recipes import DEFAULT_RECIPE
from quant.report.single import Sources, render_report
from quant.thresholds import ANALYSIS, ANALYSIS_LEAST, DEFAULT_CALIBRATION, MIN_SELECTION, OUTLOOK_IMAGES
from quant.training.distributed import Group, from_leader, joined_group
from quant.training.rank import is_alone
from quant.verdict.assemble import Evidence, summarize
from quant.verdict.notebook import outcome_html
from quant.verdict.outcome import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeResult:
    """What `quantize` made and found out."""

    artifact: Artifact
    outcome: Outcome

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.outcome.passed

    @property
    def next_command(self) -> tuple[str, ...]:
        """What to run next: the check of the artifact, or the remedy that is likeliest to help."""
        command = tuple(self.artifact.manifest["command"])
        diagnosis = self.outcome.diagnosis
        if diagnosis is None:
            return check_command(command, folder=self.outcome.artifact)
        options = next((remedy.options for remedy in diagnosis.remedies if remedy.options), None)
        return () if options is None else changed(command, options)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return outcome_html(self.outcome, self.next_command)


def quantize(
    variant: str,
    *,
    weights: str | Path = SAMPLE,
    data: str | Path = SAMPLE,
    origin: str | None = None,
    image_size: int | None = None,
    activation: str | None = None,
    calibration: int = DEFAULT_CALIBRATION,
    recipe: str = DEFAULT_RECIPE,
    backend: str = "xnnpack",
    out: str | Path | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    seed: int = 0,
    threads: int = 1,
    qat: QatOptions | None = None,
    embed_preprocess: bool = False,
    progress: Progress | None = None,
) -> QuantizeResult:
    """Quantize an EfficientNet and judge the program that comes out.

    Args:
        variant: any of its names, such as "b0" or "efficientnet-b0".
        weights: a file, or a published name or hub id (see `load_pretrained`), or `SAMPLE`: those that come
            with this package.
        data: folder of images (see `split_images`), or `SAMPLE`: the pictures that those were trained on.
        origin: whose layout the weights have, where keys and names leave it open; a key of `ORIGINS`.
        image_size: side of the network's input, pixels; None takes the weights'.
        activation: swap to this one before quantizing.
        calibration: images to fit ranges on.
        recipe: a key of `RECIPES`.
        backend: xnnpack; for others, and for several, `quant.fleet.quantize_fleet`.
        out: the artifact folder; `<variant>-<recipe>-<backend>` by default. An artifact there is replaced.
        max_drop: top-1 that the .pte may lose against float, points; `MAX_DROP_POINTS` by default.
        min_agreement: images that have to keep float's class, percent. This one or `max_drop` given, and a
            recipe that `searches`: the cheapest float layers that meet both are searched for, on images that
            are neither fitted on nor judged on.
        seed: of the calibration draw and of everything random.
        threads: of the runtime that times and judges the programs.
        qat: settings of a recipe that trains; its defaults where None.
        embed_preprocess: let the program normalise by itself: its input is then uint8 pixels, [1, H, W, 3].
        progress: told of every stage.

    Raises:
        InputError: something given cannot be used; the message says what, where and what to do.
        MachineError: the machine stood in the way.
    """
    request = check_request(
        variant,
        weights=weights,
        data=data,
        options=LoadOptions(origin=origin, image_size=image_size),
        activation=activation,
        calibration=calibration,
        recipe=recipe,
        backend=backend,
        out=out,
        max_drop=max_drop,
        min_agreement=min_agreement,
        seed=seed,
        threads=threads,
        qat=qat,
        embed_preprocess=embed_preprocess,
    )
    if find_backend(backend).name != "xnnpack":
        raise InputError(f"quantize makes one xnnpack artifact; for {backend} call quantize_fleet(backends=...).")
    if not (request.recipe.trains or is_alone()):
        raise InputError(f"--recipe {recipe} trains nothing that processes could share: start it without torchrun.")
    if request.recipe.trains:
        require_place(request.out, request.qat)
    watch = Stopwatch()
    with joined_group() as group:
        shown = progress if progress is not None and group.leads else NoProgress()
        torch.manual_seed(seed)
        with watch.measure("load"):
            checkpoint = load_checkpoint(request)
        with loaded(request, checkpoint, shown, watch) as network:
            result = _quantize(request, network, shown, watch, group)
        return from_leader(result, group)


def _quantize(
    request: Request, network: Loaded, progress: Progress, watch: Stopwatch, group: Group
) -> QuantizeResult | None:
    """Everything after loading; None for processes that only helped to train."""
    split = network.split
    with watch.measure("load"):
        inputs = read_batches(split.calibration, network.preprocess, progress)
        require_finite(network.checkpoint.model, inputs, request.weights)
        calibrated = Calibrated.on(split.calibration, inputs, network.preprocess)
    with watch.measure("export"):
        graphs = export_graphs(network, inputs, progress)
    with watch.measure("quantize"):
        suspicions = (*calibration_notes(network.checkpoint.model, inputs), *_selection_notes(request, split))
        quantized, found = _quantized(request, network, graphs, inputs, progress)
    before, trained = None, None
    if request.recipe.trains:
        before = simulation_of(quantized.converted).module
        with watch.measure("train"):
            trained = _trained(request, network, graphs, quantized, progress, group)
    if not group.leads:
        return None
    make_scales_portable(quantized.converted)
    give_back_freed_memory()
    with watch.measure("analyze"):
        layers = _analyzed(request, network, quantized, progress)
    give_back_freed_memory()
    with watch.measure("lower"), progress.stage("Lowering", 2) as advance:
        programs = {
            "pte": lower_xnnpack(
                quantized.converted, network.input_shape, normalization=request.normalization(network.preprocess)
            )
        }
        advance(1)
        programs["float"] = lower_xnnpack(graphs.original, network.input_shape)
        advance(1)
    models: dict[str, torch.nn.Module] = {
        "float": graphs.original,
        "quantized": simulation_of(quantized.converted).module,
        **({} if before is None else {"ptq": before}),
        **({"swapped": graphs.float} if network.swapped else {}),
    }
    with watch.measure("evaluate"), HostRuntime(request.threads) as runtime:
        measured = measure_bytes(
            runtime,
            {name: program.data for name, program in programs.items()},
            network.preprocess,
            split.evaluation[0].path,
            progress,
        )
        make_hashes = hash_maker(network.preprocess)
        logits = collect_logits(
            {**models, "pte": measured["pte"].run, "hashes": make_hashes},
            split.evaluation,
            network.preprocess,
            progress,
        )
        golden = golden_pairs(
            split.evaluation,
            network.preprocess,
            lambda x, rows: measured["pte"].run(x),
            measured["float"].run,
            takes_pixels=request.embed_preprocess,
        )
        shown = golden_images(network.preprocess, measured["pte"].run, takes_pixels=request.embed_preprocess)
        bundle = bundle_program(programs["pte"].data, golden)
        verify_bundle(runtime, bundle, len(golden))
        reference = Reference(
            run=measured["float"].run,
            logits=logits["float"],
            images=split.evaluation,
            class_names=network.class_names,
            preprocess=network.preprocess,
            hashes=logits.pop("hashes"),
            calibrated=calibrated,
        )
        doubts, cautious = find_doubts(reference), reservations(reference)
    outcome = summarize(
        Evidence(
            artifact=str(request.out),
            variant=request.spec.name,
            activation=request.final_activation,
            recipe=request.recipe.name,
            backend=request.backend,
            threads=request.threads,
            logits=logits,
            images=split.evaluation,
            class_names=network.class_names,
            float_program=measured["float"].figures,
            pte_program=measured["pte"].figures,
            delegation=programs["pte"].delegation,
            calibration_images=len(split.calibration),
            search=found,
            training=trained,
            layers=layers,
            float_layers=float_layers(
                quantized.reference,
                quantized.converted,
                reason="the search for the target" if found else f"recipe {request.recipe.name}",
            ),
            notes=(
                *network.notes,
                *suspicions,
                *cautious,
                *phone_warnings(footprint(graphs.float), len(programs["pte"].data)),
            ),
            suspicions=suspicions,
            reservations=cautious,
            seconds=watch.total(),
            program=hashlib.sha256(programs["pte"].data).hexdigest(),
            doubts=(*program_doubts({k: parse_pte(p.data, k) for k, p in programs.items()}), *doubts),
        ),
        max_drop=request.max_drop,
        min_agreement=request.min_agreement,
    )
    delegation = report_delegation(programs["pte"], quantized.converted)
    artifact = write_artifact(
        request.out,
        model=programs["pte"].data,
        float_model=programs["float"].data,
        classes=network.class_names,
        golden=golden,
        images=shown,
        layers=layers,
        manifest=describe(request, network, programs["pte"], outcome.to_json(), calibrated),
        extra={
            "model.bpte": bundle,
            "delegation.json": (json.dumps(delegation.to_json(), indent=1) + "\n").encode(),
        },
        report=lambda manifest: render_report(
            manifest, Sources(layers=layers, delegation=delegation, images=split.evaluation)
        ),
    )
    return QuantizeResult(artifact=artifact, outcome=outcome)


def _quantized(
    request: Request, network: Loaded, graphs: Graphs, inputs: list[torch.Tensor], progress: Progress
) -> tuple[Quantized, Found | None]:
    """Quantize as the recipe says, or with the float layers that the target takes."""
    if not request.searches:
        quantized = quantize_beside(graphs.float, inputs, request.recipe, seed=request.seed, progress=progress)
        return quantized, None
    images = network.split.selection or network.split.evaluation
    return search_float_layers(
        graphs.float,
        inputs,
        request.recipe,
        Target(min_agreement=request.min_agreement or 0.0, max_drop=request.max_drop),
        selection=read_batches(images, network.preprocess, progress),
        labels=labels_of(images),
        judged=_judged(network, graphs, progress),
        original=graphs.original,
        seed=request.seed,
        progress=progress,
    )


def _judged(network: Loaded, graphs: Graphs, progress: Progress) -> Judged:
    """Float's view of the evaluation images, thinned where there are very many."""
    images = network.split.evaluation
    seen = [images[i] for i in subsample(len(images), OUTLOOK_IMAGES)]
    logits = collect_logits({"float": graphs.original}, seen, network.preprocess, progress)["float"]
    return Judged(logits=logits, labels=labels_of(seen), images=len(images))


def _trained(
    request: Request, network: Loaded, graphs: Graphs, quantized: Quantized, progress: Progress, group: Group
) -> QatReport:
    """Train the quantized network in place; what a swapped activation lost is to be learned too."""
    split = network.split
    return train_quantized(
        quantized,
        graphs.original,
        network.preprocess,
        request.qat,
        variant=request.spec.name,
        recipe=request.recipe.name,
        training=split.training,
        selection=split.selection,
        selection_inputs=read_batches(split.selection, network.preprocess, progress),
        class_names=network.class_names,
        out=request.out,
        seed=request.seed,
        progress=progress,
        group=group,
    )


def _analyzed(request: Request, network: Loaded, quantized: Quantized, progress: Progress) -> list[LayerReport]:
    """Compare the network layer by layer on evaluation images."""
    count = min(ANALYSIS, max(ANALYSIS_LEAST, batch_size_for(network.preprocess.crop)))
    images = network.split.evaluation
    seen = [images[i] for i in subsample(len(images), count)]
    inputs = read_batches(seen, network.preprocess, progress)
    with progress.stage("Analyzing", sum(len(batch) for batch in inputs)) as advance:
        return analyze(quantized.reference, quantized.converted, inputs, seed=request.seed, advance=advance)


def _selection_notes(request: Request, split: DataSplit) -> tuple[str, ...]:
    if not request.searches or split.selection:
        return ()
    return (
        f"Fewer than {MIN_SELECTION} images were left to choose float layers on: they were chosen on the "
        "evaluation images, which flatters the verdict.",
    )
