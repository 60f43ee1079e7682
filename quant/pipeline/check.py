"""The accuracy-regression check: an artifact's program over images, against its float network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from quant.analysis.layer_report import LayerReport
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact, verify_images
from quant.checks.artifact import check_artifact, check_files
from quant.common.atomic_io import write_atomically
from quant.common.findings import Finding, Severity, messages
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.data.batches import Model
from quant.data.perceptual_hash import hash_maker
from quant.data.readers.label_file import ImageOptions
from quant.data.split import ImageRecord
from quant.lower.choices import is_emulated, reports_on, require_runs_here, runs_here
from quant.metrics import metrics
from quant.metrics.evaluate import collect_logits
from quant.pipeline.handed_over import Given, judged_images
from quant.program.host import EmulatorRuntime, HostRuntime, check_threads, emulator_processes
from quant.program.timing import Measured, ProgramFigures, load_emulated, measure_programs
from quant.thresholds import GOLDEN_MIN_SQNR_DB, LATENCY_REPEATS
from quant.training.distributed import LONE, Group, in_turn, joined_group
from quant.verdict.assemble import assemble
from quant.verdict.baseline import baseline_json, make_baseline, read_baseline, require_baseline_file
from quant.verdict.limits import Limits, asked_limits, require_limits
from quant.verdict.outcome import Evidence, Outcome

_UNCOUNTED = 2
"""Forwards timed by processes whose figures nobody reads."""


def check(
    folder: str | Path,
    *,
    data: Any,
    labels: Any = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    baseline: str | Path | None = None,
    update_baseline: bool = False,
    threads: int = 1,
    images: ImageOptions | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run an artifact's program and its float network over images and judge the difference.

    In a test of your own: `assert check("b0-int8-xnnpack", data="photos").passed`.

    Args:
        folder: the artifact.
        data: images: `val/` of it where there is one, else all of it but what the program was fitted on;
            or `edge_effnet.samples.SAMPLE`; or what Python holds images in (`QuantizeConfig.data`).
        labels: of an array or a list in `data`, one each.
        max_drop: top-1, or what else the task bounds, that may be lost against float, and against the baseline,
            points; the task's own limit where None.
        min_agreement: images that have to keep float's class, percent.
        baseline: a file with earlier figures.
        update_baseline: write this run's figures to `baseline` instead of comparing with it.
        threads: of the runtime.
        images: how they and their labels are read.
        progress: told of every stage.

    Raises:
        InputError: a damaged or changed artifact, unusable images or baseline.
        MachineError: the machine stood in the way.
    """
    progress, watch = progress or NoProgress(), Stopwatch()
    require_limits(max_drop, min_agreement)
    check_threads(threads)
    new, old = _baseline_files(baseline, update=update_baseline)
    with watch.measure("load"):
        artifact = open_artifact(Path(folder))
        require_runs_here(artifact.manifest["backend"])
        verify_images(artifact)
    with ExitStack() as stack:
        group = stack.enter_context(joined_group())
        progress = progress if group.leads else NoProgress()
        with watch.measure("load"):
            given = Given(data=data, labels=labels)
            split = stack.enter_context(judged_images(artifact, given, images, progress))
        known = None if old is None else read_baseline(old, split.evaluation, classes=artifact.task.exclusive)
        seen = look(artifact, split.evaluation, threads, progress, watch, group=group)
    outcome = judge_artifact(
        artifact,
        seen,
        images=split.evaluation,
        pte_logits=seen.logits["pte"],
        pte_program=seen.measured["pte"].figures,
        threads=threads,
        findings=split.findings,
        seconds=watch.total(),
        limits=asked_limits(artifact.task, max_drop, min_agreement, known),
    )
    if new is not None and group.leads:
        sha256 = artifact.manifest["files"]["model.pte"]["sha256"]
        figures = make_baseline(split.evaluation, outcome.pte_accuracy, outcome.pte, sha256)
        write_atomically(new, baseline_json(figures).encode())
    return outcome


def _baseline_files(baseline: str | Path | None, *, update: bool) -> tuple[Path | None, Path | None]:
    """Where to write figures, and where to read some to compare with."""
    path = None if baseline is None else Path(baseline)
    if not update:
        return None, path
    if path is None:
        raise InputError("--update-baseline needs --baseline FILE to say where the figures go.")
    require_baseline_file(path)
    return path, None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What this host makes of an artifact."""

    logits: Mapping[str, torch.Tensor]
    """[images, classes] of "float", and of "pte" where this host runs the program."""
    measured: Mapping[str, Measured]
    """Likewise."""
    findings: tuple[Finding, ...]
    """Of its files and of the images."""
    layers: tuple[LayerReport, ...]
    """The analysis of the program; empty without one, or where layers.json is of another program."""


def look(
    artifact: Artifact,
    images: Sequence[ImageRecord],
    threads: int,
    progress: Progress,
    watch: Stopwatch,
    *,
    repeats: int = LATENCY_REPEATS,
    group: Group = LONE,
) -> Seen:
    """Time what this host runs of an artifact, prove that it is what the manifest says, run it over images.

    `repeats` forwards of each program are timed; `group` is this process among those that evaluate together.

    Raises:
        InputError: programs or golden files that do not belong together, an unreadable image.
    """
    with watch.measure("load"):
        # Before anything runs: it is the cause, outputs are what it shows.
        files = check_files(artifact)
    backend = artifact.manifest["backend"]
    paths = dict(artifact.programs) if runs_here(backend) else {"float": artifact.float_program}
    emulated = {"pte": paths.pop("pte")} if is_emulated(backend) and "pte" in paths else {}
    with ExitStack() as stack:
        runtime = stack.enter_context(HostRuntime(threads))
        # One process after the other: two at once would time each other.
        with watch.measure("time"), in_turn(group):
            counted = repeats if group.leads else _UNCOUNTED
            measured = measure_programs(
                runtime, paths, artifact.preprocess, images[0].path, progress, repeats=counted
            )
            if emulated:
                emulator = stack.enter_context(EmulatorRuntime(emulator_processes(group.world)))
                measured |= load_emulated(emulator, emulated, artifact.preprocess)
            verify_shapes(artifact, measured)
            verify_golden(artifact, measured, messages(files.findings, Severity.ERROR))
        with watch.measure("evaluate"):
            programs = {name: _logits_of(artifact, program) for name, program in measured.items()}
            hashes = {"hashes": hash_maker(artifact.preprocess)}
            logits = collect_logits(
                hashes, images, artifact.preprocess, progress, programs=programs, share=group.share
            )
            found = check_artifact(
                artifact,
                run_float=programs["float"],
                float_logits=logits["float"],
                pte_logits=logits.get("pte"),
                hashes=logits.pop("hashes"),
                images=images,
                progress=progress,
            )
    return Seen(logits=logits, measured=measured, findings=(*files.findings, *found), layers=files.layers)


def _logits_of(artifact: Artifact, program: Measured) -> Model:
    """What a verdict compares of one of an artifact's programs."""
    return lambda x: artifact.logits_of(program.program.name, program.run(x))


def judge_artifact(
    artifact: Artifact,
    seen: Seen,
    *,
    images: Sequence[ImageRecord],
    pte_logits: torch.Tensor,
    pte_program: ProgramFigures,
    threads: int,
    findings: tuple[Finding, ...],
    seconds: dict[str, float],
    limits: Limits,
) -> Outcome:
    """Judge what an artifact's program put out, here or on a device.

    Args:
        artifact: opened.
        seen: what this host makes of it.
        images: that the logits, [images, classes], are of.
        pte_logits: of the program.
        pte_program: what it cost where it ran.
        threads: of the runtime there.
        findings: about the images and the device; failures among them come before those of `seen`.
        seconds: by stage.
        limits: what is allowed.
    """
    manifest = artifact.manifest
    # None where an earlier version ran, and of a task without classes.
    expected = manifest["verdict"].get("expected_drop")
    return assemble(
        Evidence(
            task=artifact.task,
            artifact=str(artifact.folder),
            variant=manifest["variant"],
            activation=manifest["activation"],
            recipe=manifest["recipe"]["name"],
            backend=manifest["backend"],
            threads=threads,
            logits={"float": seen.logits["float"], "pte": pte_logits},
            simulated=None,
            images=images,
            class_names=artifact.class_names,
            float_program=seen.measured["float"].figures,
            pte_program=pte_program,
            delegation=artifact.delegation,
            calibration_images=len(artifact.calibrated_on),
            search=None,
            training=None,
            layers=seen.layers,
            float_layers=(),
            findings=(*findings, *seen.findings, *reports_on(manifest["backend"])),
            seconds=seconds,
            program=manifest["files"]["model.pte"]["sha256"],
            temperature=None if expected is None else float(expected["temperature"]),
        ),
        limits,
    )


def verify_shapes(artifact: Artifact, programs: Mapping[str, Measured]) -> None:
    """Compare the programs' own shapes with those that the manifest gives.

    Raises:
        InputError: they differ.
    """
    manifest, side, channels = artifact.manifest, artifact.manifest["image_size"], artifact.preprocess.channels
    # The float network's own program always takes what the network takes.
    inputs = {"float": [1, channels, side, side], "pte": manifest["input"]["shape"]}
    for name, measured in programs.items():
        for key, wanted in (("input", inputs[name]), ("output", manifest["output"]["shape"])):
            found = list(getattr(measured.program, f"{key}_shape"))
            if found != wanted:
                raise InputError(
                    f"{artifact.folder}: the {name} program's {key} is {found}, manifest.json says {wanted}: they do "
                    "not belong together; regenerate the artifact."
                )


def verify_golden(artifact: Artifact, programs: Mapping[str, Measured], doubts: Sequence[str]) -> None:
    """Compare programs' outputs for the golden inputs with those written beside them.

    `doubts` are what the artifact's files give away, which may be why they differ.

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
        path = artifact.programs[name]
        for image, given, wanted in expected[name]:
            # The float program beside one that takes pixels does not.
            pixels = given.dtype == torch.uint8 and program.program.input_dtype != torch.uint8
            x = artifact.preprocess.normalize(given.numpy()) if pixels else given
            sqnr = metrics.sqnr_db(wanted, program.runtime.run(program.program, x[None])[0])
            if not sqnr >= GOLDEN_MIN_SQNR_DB:
                raise InputError(
                    f"{path}: its output for the golden input {image} is not the one that `quantize` wrote "
                    f"({sqnr:.1f} dB, at least {GOLDEN_MIN_SQNR_DB:.0f} wanted); it is another program, the runtime "
                    "here computes something else, or the golden files or mean and std were changed."
                    + "".join(f" {sentence}." for sentence in doubts)
                )
