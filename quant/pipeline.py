"""`quantize`: weights and photographs in, an artifact folder with a verdict out."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import fx

from edge_effnet.activations import swap_activation
from edge_effnet.errors import InputError
from edge_effnet.fuse import fold_for_inference
from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import SAMPLE, sample_metadata, sample_weights
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights import Checkpoint, load_pretrained
from edge_effnet.weights.checkpoint import LoadOptions
from quant.analysis import LayerReport, analyze
from quant.artifact import Artifact, Golden, require_replaceable, write_artifact
from quant.batches import iterate_batches
from quant.calibration_check import calibration_notes
from quant.chunks import CHUNK
from quant.data import Photo, PhotoSplit, split_photos
from quant.evaluate import collect_logits, labels_of
from quant.export import export_graph
from quant.footprint import footprint, phone_warnings
from quant.lower.result import LoweredProgram
from quant.lower.table import find_backend
from quant.lower.xnnpack import lower_xnnpack
from quant.measure import Measured, measure_bytes
from quant.outcome import Outcome
from quant.progress import NoProgress, Progress, Stopwatch
from quant.ptq import Quantized, quantize_beside
from quant.qat.options import QatOptions
from quant.qat.run import QatReport, train_quantized
from quant.recipes import DEFAULT_RECIPE, RECIPES, Recipe, find_recipe
from quant.regression import check_max_drop, check_min_agreement
from quant.runtime import HostRuntime
from quant.sample_photos import photo_folder
from quant.search import Found, Target, search_float_layers
from quant.simulate import simulation_of
from quant.summary import Evidence, summarize
from quant.tolerances import (
    ANALYSIS,
    DEFAULT_CALIBRATION,
    GOLDEN_COUNT,
    MAX_DROP_POINTS,
    MIN_SELECTION,
    SELECTION,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeResult:
    """What `quantize` made and found out."""

    artifact: Artifact
    outcome: Outcome

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.outcome.passed


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """The arguments of `quantize`, looked up and checked before any work."""

    spec: VariantSpec
    weights: str | Path
    data: str | Path
    sample: bool
    """Whether the weights are the sample ones."""
    options: LoadOptions
    activation: str | None
    calibration: int
    recipe: Recipe
    backend: str
    out: Path
    max_drop: float
    min_agreement: float | None
    """Share of 1."""
    searches: bool
    """Whether float layers are searched for until the target is met."""
    threads: int
    seed: int
    qat: QatOptions


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
    progress: Progress | None = None,
) -> QuantizeResult:
    """Quantize an EfficientNet and judge the program that comes out.

    Args:
        variant: any of its names, such as "b0" or "efficientnet-b0".
        weights: a file, or a published name or hub id (see `load_pretrained`), or `SAMPLE`: those that come
            with this package.
        data: folder of photographs (see `split_photos`), or `SAMPLE`: the pictures that those were trained on.
        origin: whose layout the weights have, where keys and names leave it open; a key of `ORIGINS`.
        image_size: side of the network's input, pixels; None takes the weights'.
        activation: swap to this one before quantizing.
        calibration: photographs to fit ranges on.
        recipe: a key of `RECIPES`.
        backend: xnnpack; for others, and for several, `quant.fleet.quantize_fleet`.
        out: the artifact folder; `<variant>-<recipe>-<backend>` by default. An artifact there is replaced.
        max_drop: top-1 that the .pte may lose against float, points; `MAX_DROP_POINTS` by default.
        min_agreement: photographs that have to keep float's class, percent. This one or `max_drop` given, and a
            recipe that `searches`: the cheapest float layers that meet both are searched for, on photographs that
            are neither fitted on nor judged on.
        seed: of the calibration draw and of everything random.
        threads: of the runtime that times and judges the programs.
        qat: settings of a recipe that trains; its defaults where None.
        progress: told of every stage.

    Raises:
        InputError: something given cannot be used; the message says what, where and what to do.
        MachineError: the machine stood in the way.
    """
    request = _check_request(
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
    )
    progress = progress or NoProgress()
    watch = Stopwatch()
    torch.manual_seed(seed)
    with watch.measure("load"):
        source = sample_weights(request.spec.name) if request.sample else request.weights
        checkpoint = load_pretrained(source, variant=request.spec.name, options=request.options)
    with ExitStack() as stack:
        with watch.measure("load"):
            selection = SELECTION if request.searches or request.recipe.trains else 0
            folder = stack.enter_context(
                photo_folder(
                    request.data,
                    checkpoint.preprocess,
                    progress,
                    calibration=request.calibration,
                    selection=selection,
                )
            )
            split = split_photos(
                folder,
                calibration=request.calibration,
                seed=request.seed,
                class_names=checkpoint.class_names,
                num_classes=checkpoint.num_classes,
                selection=selection,
                training=request.recipe.trains,
            )
        return _quantize(request, checkpoint, split, progress, watch)


def _quantize(
    request: _Request, checkpoint: Checkpoint, split: PhotoSplit, progress: Progress, watch: Stopwatch
) -> QuantizeResult:
    """Everything after loading."""
    model = checkpoint.model
    if request.activation is not None:
        model = swap_activation(model, request.activation)
    with watch.measure("export"):
        size = checkpoint.preprocess.crop
        graph = export_graph(fold_for_inference(model, size), size)
        teacher: torch.nn.Module = graph
        if request.recipe.trains and model is not checkpoint.model:
            # Training makes up for the new activation: the float network to be equal to keeps its own.
            teacher = fold_for_inference(checkpoint.model, size)
    with watch.measure("quantize"):
        inputs = _read_photos(split.calibration, checkpoint.preprocess, progress)
        suspicions = calibration_notes(checkpoint.model, inputs)
        network = _Network(checkpoint, split, graph, teacher, inputs)
        quantized, found = _quantized(request, network, progress)
    before, trained = None, None
    if request.recipe.trains:
        before = simulation_of(quantized.converted).module
        with watch.measure("train"):
            trained = _trained(request, network, quantized, progress)
    with watch.measure("analyze"):
        layers = _analyzed(request, network, quantized, progress)
    with watch.measure("lower"), progress.stage("Lowering", 2) as advance:
        shape = (1, 3, checkpoint.preprocess.crop, checkpoint.preprocess.crop)
        programs = {"pte": lower_xnnpack(quantized.converted, shape)}
        advance(1)
        programs["float"] = lower_xnnpack(graph, shape)
        advance(1)
    with watch.measure("evaluate"), HostRuntime(request.threads) as runtime:
        example = checkpoint.preprocess(split.evaluation[0].path)[None]
        measured = measure_bytes(runtime, {k: p.data for k, p in programs.items()}, example, progress)
        logits = collect_logits(
            {
                "float": teacher,
                "quantized": simulation_of(quantized.converted).module,
                "pte": measured["pte"].run,
                **({} if before is None else {"ptq": before}),
            },
            split.evaluation,
            checkpoint.preprocess,
            progress,
        )
        golden = _golden(measured["pte"], split.evaluation, checkpoint)
    outcome = summarize(
        Evidence(
            artifact=str(request.out),
            variant=request.spec.name,
            recipe=request.recipe.name,
            backend=request.backend,
            threads=request.threads,
            logits=logits,
            photos=split.evaluation,
            class_names=_class_names(checkpoint, split),
            float_program=measured["float"].figures,
            pte_program=measured["pte"].figures,
            delegation=programs["pte"].delegation,
            calibration_images=len(split.calibration),
            search=found,
            training=trained,
            notes=(
                *_sample_notes(request),
                *checkpoint.notes,
                *split.notes,
                *suspicions,
                *_selection_notes(request, split),
                *phone_warnings(footprint(graph), len(programs["pte"].data)),
            ),
            seconds=watch.total(),
        ),
        max_drop=request.max_drop,
        min_agreement=request.min_agreement,
    )
    artifact = write_artifact(
        request.out,
        model=programs["pte"].data,
        float_model=programs["float"].data,
        classes=_class_names(checkpoint, split),
        golden=golden,
        layers=layers,
        manifest=_manifest(checkpoint, split, request, outcome.to_json(), programs["pte"]),
    )
    return QuantizeResult(artifact=artifact, outcome=outcome)


def _check_request(
    variant: str,
    *,
    weights: str | Path,
    data: str | Path,
    options: LoadOptions,
    activation: str | None,
    calibration: int,
    recipe: str,
    backend: str,
    out: str | Path | None,
    max_drop: float | None,
    min_agreement: float | None,
    seed: int,
    threads: int,
    qat: QatOptions | None,
) -> _Request:
    spec = resolve_variant(variant)
    sample = weights == SAMPLE
    if sample:
        sample_weights(spec.name)
    if threads < 1:
        raise InputError(f"--threads {threads}: need at least 1.")
    if find_backend(backend).name != "xnnpack":
        raise InputError(f"quantize makes one xnnpack artifact; for {backend} call quantize_fleet(backends=...).")
    found = find_recipe(recipe)
    if qat is not None and not found.trains:
        trained = ", ".join(name for name, other in RECIPES.items() if other.trains)
        raise InputError(
            f"--recipe {recipe} trains nothing; --epochs, --steps, --teacher and --resume are for {trained}."
        )
    wanted = check_min_agreement(min_agreement)
    request = _Request(
        spec=spec,
        weights=weights,
        data=data,
        sample=sample,
        options=options,
        activation=activation,
        calibration=calibration,
        recipe=found,
        backend=backend,
        out=Path(out) if out is not None else Path(f"{spec.name}-{recipe}-{backend}"),
        max_drop=check_max_drop(MAX_DROP_POINTS if max_drop is None else max_drop),
        min_agreement=wanted,
        searches=found.searches and not (max_drop is None and wanted is None),
        threads=threads,
        seed=seed,
        qat=qat or QatOptions(),
    )
    require_replaceable(request.out)
    return request


def _sample_notes(request: _Request) -> tuple[str, ...]:
    """Say that the figures are of the sample model, and how good that is."""
    if not request.sample:
        return ()
    return (sample_note(request.spec.name),)


def sample_note(variant: str) -> str:
    """One sentence that says what the sample model of a variant is."""
    made = sample_metadata(variant)
    return (
        f"Sample model: {variant} trained on drawn pictures of {len(made['class_names'])} classes "
        f"({100 * made['val_top1']:.1f} % of {made['val_images']}), for a first look; nothing of yours was quantized."
    )


def _read_photos(photos: Sequence[Photo], preprocess: Preprocess, progress: Progress) -> list[torch.Tensor]:
    """Decode the calibration photographs once; ranges and repair read them several times."""
    with progress.stage("Reading", len(photos)) as advance:
        batches = []
        for batch in iterate_batches([p.path for p in photos], preprocess, batch_size=CHUNK):
            batches.append(batch)
            advance(len(batch))
    return batches


@dataclass(frozen=True, kw_only=False, slots=True)
class _Network:
    """A loaded network with the photographs that it is quantized on."""

    checkpoint: Checkpoint
    split: PhotoSplit
    graph: fx.GraphModule
    teacher: torch.nn.Module
    """The float network that the program is judged against: `graph`, or the one before its activation was swapped."""
    inputs: list[torch.Tensor]


def _quantized(request: _Request, network: _Network, progress: Progress) -> tuple[Quantized, Found | None]:
    """Quantize as the recipe says, or with the float layers that the target takes."""
    if not request.searches:
        return quantize_beside(
            network.graph, network.inputs, request.recipe, seed=request.seed, progress=progress
        ), None
    photos = _selection(network.split)
    return search_float_layers(
        network.graph,
        network.inputs,
        request.recipe,
        Target(min_agreement=request.min_agreement or 0.0, max_drop=request.max_drop),
        selection=_read_photos(photos, network.checkpoint.preprocess, progress),
        labels=labels_of(photos),
        seed=request.seed,
        progress=progress,
    )


def _trained(request: _Request, network: _Network, quantized: Quantized, progress: Progress) -> QatReport:
    """Train the quantized network in place."""
    split, preprocess = network.split, network.checkpoint.preprocess
    return train_quantized(
        quantized.converted,
        network.teacher,
        preprocess,
        request.qat,
        variant=request.spec.name,
        recipe=request.recipe.name,
        training=split.training,
        selection=split.selection,
        selection_inputs=_read_photos(split.selection, preprocess, progress),
        class_names=_class_names(network.checkpoint, split),
        out=request.out,
        seed=request.seed,
        progress=progress,
    )


def _selection(split: PhotoSplit) -> tuple[Photo, ...]:
    return split.selection or split.evaluation


def _selection_notes(request: _Request, split: PhotoSplit) -> tuple[str, ...]:
    if not request.searches or split.selection:
        return ()
    return (
        f"Fewer than {MIN_SELECTION} photographs were left to choose float layers on: they were chosen on the "
        "evaluation photographs, which flatters the verdict.",
    )


def _analyzed(request: _Request, network: _Network, quantized: Quantized, progress: Progress) -> list[LayerReport]:
    """Compare the network layer by layer on evaluation photographs."""
    photos = network.split.evaluation
    chosen = photos[:: max(1, len(photos) // ANALYSIS)][:ANALYSIS]
    inputs = _read_photos(chosen, network.checkpoint.preprocess, progress)
    with progress.stage("Analyzing", len(chosen)) as advance:
        return analyze(quantized.reference, quantized.converted, inputs, seed=request.seed, advance=advance)


def _golden(program: Measured, photos: Sequence[Photo], checkpoint: Checkpoint) -> list[Golden]:
    chosen = photos[:: max(1, len(photos) // GOLDEN_COUNT)][:GOLDEN_COUNT]
    inputs = torch.stack([checkpoint.preprocess(photo.path) for photo in chosen])
    outputs = program.run(inputs)
    return [
        Golden(photograph=photo.name, input=x, output=y) for photo, x, y in zip(chosen, inputs, outputs, strict=True)
    ]


def _class_names(checkpoint: Checkpoint, split: PhotoSplit) -> tuple[str, ...]:
    return split.class_names or checkpoint.class_names or tuple(str(i) for i in range(checkpoint.num_classes))


def _manifest(
    checkpoint: Checkpoint,
    split: PhotoSplit,
    request: _Request,
    verdict: dict[str, Any],
    program: LoweredProgram,
) -> dict[str, Any]:
    layouts = {4: "NCHW", 2: "NC"}
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "variant": request.spec.name,
        "activation": request.activation or request.spec.activation,
        "image_size": checkpoint.preprocess.crop,
        "labelled": bool(split.class_names or checkpoint.class_names),
        "preprocess": checkpoint.preprocess.to_dict(),
        **{
            key: {"shape": list(shape), "dtype": "float32", "layout": layouts[len(shape)]}
            for key, shape in (("input", program.input_shape), ("output", program.output_shape))
        },
        "recipe": {**asdict(request.recipe), "seed": request.seed},
        "sample_model": request.sample,
        "backend": request.backend,
        "delegation": asdict(program.delegation),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchao", "executorch", "edge-effnet")},
        },
        "weights": {"name": Path(request.weights).name, "origin": checkpoint.origin, "sha256": checkpoint.sha256},
        "photographs": {
            key: [{"name": p.name, "sha256": p.sha256} for p in photos]
            for key, photos in (
                ("calibration", split.calibration),
                ("evaluation", split.evaluation),
                *([("training", split.training)] if split.training else []),
            )
        },
        "verdict": verdict,
    }
