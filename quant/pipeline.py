"""`quantize`: weights and photographs in, an artifact folder with a verdict out."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Sequence
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
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights import Checkpoint, load_pretrained
from edge_effnet.weights.checkpoint import LoadOptions
from quant.artifact import Artifact, Golden, require_replaceable, write_artifact
from quant.batches import iterate_batches
from quant.chunks import CHUNK
from quant.data import Photo, PhotoSplit, split_photos
from quant.evaluate import collect_logits
from quant.export import export_graph
from quant.lower.result import LoweredProgram
from quant.lower.table import find_backend
from quant.measure import Measured, measure_bytes
from quant.outcome import Outcome
from quant.progress import NoProgress, Progress, Stopwatch
from quant.ptq import quantize_graph
from quant.recipes import DEFAULT_RECIPE, Recipe, find_recipe
from quant.regression import check_max_drop
from quant.runtime import HostRuntime
from quant.simulate import simulation_of
from quant.summary import Evidence, summarize
from quant.tolerances import DEFAULT_CALIBRATION, GOLDEN_COUNT, MAX_DROP_POINTS


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
    recipe: Recipe
    backend: str
    lower: Callable[[fx.GraphModule, tuple[int, ...]], LoweredProgram]
    out: Path
    max_drop: float
    threads: int
    seed: int


def quantize(
    variant: str,
    *,
    weights: str | Path,
    data: str | Path,
    origin: str | None = None,
    image_size: int | None = None,
    activation: str | None = None,
    calibration: int = DEFAULT_CALIBRATION,
    recipe: str = DEFAULT_RECIPE,
    backend: str = "xnnpack",
    out: str | Path | None = None,
    max_drop: float = MAX_DROP_POINTS,
    seed: int = 0,
    threads: int = 1,
    progress: Progress | None = None,
) -> QuantizeResult:
    """Quantize an EfficientNet and judge the program that comes out.

    Args:
        variant: any of its names, such as "b0" or "efficientnet-b0".
        weights: a file, or a published name or hub id (see `load_pretrained`).
        data: folder of photographs (see `split_photos`).
        origin: whose layout the weights have, where keys and names leave it open; a key of `ORIGINS`.
        image_size: side of the network's input, pixels; None takes the weights'.
        activation: swap to this one before quantizing.
        calibration: photographs to fit ranges on.
        recipe: a key of `RECIPES`.
        backend: a key of `BACKENDS`.
        out: the artifact folder; `<variant>-<recipe>-<backend>` by default. An artifact there is replaced.
        max_drop: top-1 that the .pte may lose against float, points.
        seed: of the calibration draw and of everything random.
        threads: of the runtime that times and judges the programs.
        progress: told of every stage.

    Raises:
        InputError: something given cannot be used; the message says what, where and what to do.
        MachineError: the machine stood in the way.
    """
    request = _check_request(variant, recipe, backend, out, max_drop, threads, seed)
    progress = progress or NoProgress()
    watch = Stopwatch()
    torch.manual_seed(seed)
    with watch.measure("load"):
        options = LoadOptions(origin=origin, image_size=image_size)
        checkpoint = load_pretrained(weights, variant=request.spec.name, options=options)
        split = split_photos(
            Path(data),
            calibration=calibration,
            seed=seed,
            class_names=checkpoint.class_names,
            num_classes=checkpoint.num_classes,
        )
        model = checkpoint.model if activation is None else swap_activation(checkpoint.model, activation)
    with watch.measure("export"):
        graph = export_graph(fold_for_inference(model, checkpoint.preprocess.crop), checkpoint.preprocess.crop)
    with watch.measure("quantize"):
        inputs = _read_photos(split.calibration, checkpoint.preprocess, progress)
        quantized = quantize_graph(graph, inputs, request.recipe, seed=seed, progress=progress)
    with watch.measure("lower"), progress.stage("Lowering", 2) as advance:
        shape = (1, 3, checkpoint.preprocess.crop, checkpoint.preprocess.crop)
        programs = {"pte": request.lower(quantized, shape)}
        advance(1)
        programs["float"] = request.lower(graph, shape)
        advance(1)
    with watch.measure("evaluate"), HostRuntime(request.threads) as runtime:
        example = checkpoint.preprocess(split.evaluation[0].path)[None]
        measured = measure_bytes(runtime, {k: p.data for k, p in programs.items()}, example, progress)
        logits = collect_logits(
            {"float": graph, "quantized": simulation_of(quantized).module, "pte": measured["pte"].run},
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
            notes=(*checkpoint.notes, *split.notes),
            seconds=watch.total(),
        ),
        max_drop=request.max_drop,
    )
    artifact = write_artifact(
        request.out,
        model=programs["pte"].data,
        float_model=programs["float"].data,
        classes=_class_names(checkpoint, split),
        golden=golden,
        manifest=_manifest(checkpoint, split, request, outcome, activation, programs["pte"], Path(weights).name),
    )
    return QuantizeResult(artifact=artifact, outcome=outcome)


def _check_request(
    variant: str, recipe: str, backend: str, out: str | Path | None, max_drop: float, threads: int, seed: int
) -> _Request:
    spec = resolve_variant(variant)
    folder = Path(out) if out is not None else Path(f"{spec.name}-{recipe}-{backend}")
    if threads < 1:
        raise InputError(f"--threads {threads}: need at least 1.")
    request = _Request(
        spec=spec,
        recipe=find_recipe(recipe),
        backend=backend,
        lower=find_backend(backend),
        out=folder,
        max_drop=check_max_drop(max_drop),
        threads=threads,
        seed=seed,
    )
    require_replaceable(folder)
    return request


def _read_photos(photos: Sequence[Photo], preprocess: Preprocess, progress: Progress) -> list[torch.Tensor]:
    """Decode the calibration photographs once; ranges and repair read them several times."""
    with progress.stage("Reading", len(photos)) as advance:
        batches = []
        for batch in iterate_batches([p.path for p in photos], preprocess, batch_size=CHUNK):
            batches.append(batch)
            advance(len(batch))
    return batches


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
    outcome: Outcome,
    activation: str | None,
    program: LoweredProgram,
    weights_name: str,
) -> dict[str, Any]:
    layouts = {4: "NCHW", 2: "NC"}
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "variant": request.spec.name,
        "activation": activation or request.spec.activation,
        "image_size": checkpoint.preprocess.crop,
        "labelled": bool(split.class_names or checkpoint.class_names),
        "preprocess": checkpoint.preprocess.to_dict(),
        **{
            key: {"shape": list(shape), "dtype": "float32", "layout": layouts[len(shape)]}
            for key, shape in (("input", program.input_shape), ("output", program.output_shape))
        },
        "recipe": {**asdict(request.recipe), "seed": request.seed},
        "backend": request.backend,
        "delegation": asdict(program.delegation),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchao", "executorch", "edge-effnet")},
        },
        "weights": {"name": weights_name, "origin": checkpoint.origin, "sha256": checkpoint.sha256},
        "photographs": {
            key: [{"name": p.name, "sha256": p.sha256} for p in photos]
            for key, photos in (("calibration", split.calibration), ("evaluation", split.evaluation))
        },
        "verdict": outcome.to_json(),
    }
