"""The accuracy-regression check: an artifact's program over images, against its float network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from quant.artifact.model import Artifact, open_artifact, verify_images
from quant.checks.artifact import FileDoubts, Findings, artifact_doubts, file_doubts
from quant.common.atomic_io import write_atomically
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.data.batches import Model
from quant.data.perceptual_hash import hash_maker
from quant.data.source import image_folder
from quant.data.split import DataSplit, evaluation_images
from quant.lower.choices import require_runs_here
from quant.metrics import metrics
from quant.metrics.evaluate import collect_logits
from quant.program.host import HostRuntime, check_threads
from quant.program.timing import Measured, measure_programs
from quant.thresholds import GOLDEN_MIN_SQNR_DB, MAX_DROP_POINTS
from quant.verdict.assemble import Evidence, summarize
from quant.verdict.baseline import baseline_json, make_baseline, read_baseline, require_baseline_file
from quant.verdict.outcome import Outcome
from quant.verdict.verdict import check_max_drop, check_min_agreement


def check(
    folder: str | Path,
    *,
    data: str | Path,
    max_drop: float = MAX_DROP_POINTS,
    min_agreement: float | None = None,
    baseline: str | Path | None = None,
    update_baseline: bool = False,
    threads: int = 1,
    progress: Progress | None = None,
) -> Outcome:
    """Run an artifact's program and its float network over images and judge the difference.

    In a test of your own: `assert check("b0-int8-xnnpack", data="photos").passed`.

    Args:
        folder: the artifact.
        data: images: `val/` of it where there is one, else all of it but what the program was fitted on;
            or `edge_effnet.samples.SAMPLE`.
        max_drop: top-1 that may be lost against float, and against the baseline, points.
        min_agreement: images that have to keep float's class, percent.
        baseline: a file with earlier figures.
        update_baseline: write this run's figures to `baseline` instead of comparing with it.
        threads: of the runtime.
        progress: told of every stage.

    Raises:
        InputError: a damaged or changed artifact, unusable images or baseline.
        MachineError: the machine stood in the way.
    """
    progress, watch = progress or NoProgress(), Stopwatch()
    check_max_drop(max_drop)
    wanted = check_min_agreement(min_agreement)
    check_threads(threads)
    if update_baseline:
        if baseline is None:
            raise InputError("--update-baseline needs --baseline FILE to say where the figures go.")
        require_baseline_file(Path(baseline))
    with watch.measure("load"):
        artifact = open_artifact(Path(folder))
        require_runs_here(artifact.manifest["backend"])
        verify_images(artifact)
    with ExitStack() as stack:
        with watch.measure("load"):
            split = images_for(artifact, stack.enter_context(image_folder(data, artifact.preprocess, progress)))
        known = None if update_baseline or baseline is None else read_baseline(Path(baseline), split.evaluation)
        evidence = _collect(artifact, split, threads, progress, watch)
    outcome = summarize(evidence, max_drop=max_drop, min_agreement=wanted, baseline=known)
    if update_baseline and baseline is not None:
        figures = make_baseline(split.evaluation, outcome.pte_accuracy, outcome.pte, evidence.program)
        write_atomically(Path(baseline), baseline_json(figures).encode())
    return outcome


def images_for(artifact: Artifact, folder: Path) -> DataSplit:
    """The images of a folder that an artifact can be judged on; see `evaluation_images`.

    Raises:
        InputError: none, others than its classes, or ones that it was fitted on.
    """
    return evaluation_images(
        folder,
        class_names=artifact.labels if artifact.labelled else None,
        num_classes=len(artifact.labels),
        calibrated_on=artifact.calibrated_on,
    )


def _collect(artifact: Artifact, split: DataSplit, threads: int, progress: Progress, watch: Stopwatch) -> Evidence:
    """Time both programs, prove that they are what the manifest says, run them over the images."""
    with watch.measure("load"):
        # Before anything runs: it is the cause, outputs are what it shows.
        files = file_doubts(artifact)
    with HostRuntime(threads) as runtime:
        with watch.measure("time"):
            measured = measure_programs(
                runtime, artifact.programs, artifact.preprocess, split.evaluation[0].path, progress
            )
            verify_shapes(artifact, measured)
            verify_golden(artifact, measured, files)
        with watch.measure("evaluate"):
            models: dict[str, Model] = {name: program.run for name, program in measured.items()}
            models["hashes"] = hash_maker(artifact.preprocess)
            logits = collect_logits(models, split.evaluation, artifact.preprocess, progress)
            hashes = logits.pop("hashes")
            findings = artifact_doubts(
                artifact, files, measured["float"].run, logits["float"], logits["pte"], hashes, split.evaluation
            )
    return _evidence(artifact, split, threads, logits, measured, watch, findings)


def verify_shapes(artifact: Artifact, programs: Mapping[str, Measured]) -> None:
    """Compare the programs' own shapes with those that the manifest gives.

    Raises:
        InputError: they differ.
    """
    side = artifact.manifest["image_size"]
    # The float network's own program always takes what the network takes.
    inputs = {"float": [1, 3, side, side], "pte": artifact.manifest["input"]["shape"]}
    for measured in programs.values():
        for key in ("input", "output"):
            found = list(getattr(measured.program, f"{key}_shape"))
            wanted = inputs[measured.program.name] if key == "input" else artifact.manifest["output"]["shape"]
            if found != wanted:
                raise InputError(
                    f"{artifact.folder}: the {measured.program.name} program's {key} is {found}, manifest.json says "
                    f"{wanted}: they do not belong together; regenerate the artifact."
                )


def verify_golden(artifact: Artifact, programs: Mapping[str, Measured], files: FileDoubts) -> None:
    """Compare programs' outputs for the golden inputs with those written beside them.

    Args:
        artifact: that they are of.
        programs: "pte" and "float", or one of them.
        files: what its files give away, which may be why.

    Raises:
        InputError: they differ by more than rounding.
    """
    pairs, drawn = artifact.golden(), artifact.golden_images()
    expected = {
        "pte": [(item.image, item.input, item.output) for item in pairs]
        + [(item.name, item.input, item.output) for item in drawn],
        "float": [(item.image, item.input, item.float_output) for item in pairs],
    }
    for name, program in programs.items():
        path = {"pte": artifact.program, "float": artifact.float_program}[name]
        for image, given, wanted in expected[name]:
            x = artifact.preprocess.normalize(given.numpy()) if _needs_normalizing(program, given) else given
            sqnr = metrics.sqnr_db(wanted, program.runtime.run(program.program, x[None])[0])
            if not sqnr >= GOLDEN_MIN_SQNR_DB:
                raise InputError(
                    f"{path}: its output for the golden input {image} is not the one that `quantize` wrote "
                    f"({sqnr:.1f} dB, at least {GOLDEN_MIN_SQNR_DB:.0f} wanted); it is another program, the runtime "
                    "here computes something else, or the golden files or mean and std were changed."
                    + "".join(f" {sentence}." for sentence in files.sentences)
                )


def _needs_normalizing(program: Measured, given: torch.Tensor) -> bool:
    """Whether golden pixels are not what a program takes: the float program beside one that takes pixels."""
    return given.dtype == torch.uint8 and program.program.input_dtype != torch.uint8


def _evidence(
    artifact: Artifact,
    split: DataSplit,
    threads: int,
    logits: dict[str, torch.Tensor],
    measured: dict[str, Measured],
    watch: Stopwatch,
    findings: Findings,
) -> Evidence:
    return Evidence(
        artifact=str(artifact.folder),
        variant=artifact.manifest["variant"],
        activation=artifact.manifest["activation"],
        recipe=artifact.manifest["recipe"]["name"],
        backend=artifact.manifest["backend"],
        threads=threads,
        logits=logits,
        images=split.evaluation,
        class_names=artifact.labels,
        float_program=measured["float"].figures,
        pte_program=measured["pte"].figures,
        delegation=artifact.delegation,
        calibration_images=len(artifact.calibrated_on),
        search=None,
        training=None,
        layers=artifact.layers() if findings.analyzed and "layers.json" in artifact.manifest["files"] else (),
        notes=(*split.notes, *findings.reservations),
        reservations=findings.reservations,
        seconds=watch.total(),
        program=artifact.manifest["files"]["model.pte"]["sha256"],
        doubts=findings.doubts,
    )
