"""The verdict on a device: its program's answers against the float network's, and against this host's."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from apps.device.ios import NAME as IOS
from apps.device.ios import read_exported
from apps.device.job.drive import run_job
from apps.device.job.folder import write_job
from apps.device.job.limit import limit_note, limited
from apps.device.job.results import Results, require_results_file, require_same_program, write_results
from apps.device.options import DeviceOptions
from apps.device.outcome import DeviceOutcome
from apps.device.sameness import compare_logits, faults, is_exact
from apps.device.table import open_device, split_device
from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from quant.artifact.model import Artifact, open_artifact
from quant.checks.artifact import Findings, artifact_doubts, file_doubts
from quant.common.atomic_io import explained_writes
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.data.batches import Model
from quant.data.perceptual_hash import hash_maker
from quant.data.source import image_folder
from quant.data.split import ImageRecord
from quant.lower.choices import runs_here
from quant.metrics.evaluate import collect_logits
from quant.pipeline.check import images_for, verify_golden, verify_shapes
from quant.program.host import HostRuntime, check_threads
from quant.program.timing import Measured, ProgramFigures, measure_programs
from quant.thresholds import MAX_DROP_POINTS
from quant.verdict.assemble import Evidence, summarize
from quant.verdict.verdict import Verdict, check_max_drop, check_min_agreement

# The device's latency is what counts; this host's float program is only timed to fill its column.
_HOST_REPEATS = 10


def check_on_device(
    folder: str | Path,
    *,
    device: str,
    data: str | Path,
    options: DeviceOptions | None = None,
    max_drop: float = MAX_DROP_POINTS,
    min_agreement: float | None = None,
    limit: int | None = None,
    results: str | Path | None = None,
    keep: bool = False,
    progress: Progress | None = None,
) -> DeviceOutcome:
    """Run an artifact's program on a device and judge it there.

    Args:
        folder: the artifact.
        device: as `apps.device.table.FORMS` lists.
        data: images, as for `quant.pipeline.check.check`.
        options: of single transports.
        max_drop: top-1 that may be lost against float, points.
        min_agreement: images that have to keep float's class, percent.
        limit: take fewer images, evenly of each class.
        results: write the device's results file there too; an older one there is replaced.
        keep: leave what was copied on the device.
        progress: told of every stage.

    Raises:
        InputError: something given cannot be used; the device sent results of something else.
        MachineError: the device is not there, goes away for good, has no room, or its runtime fails.
    """
    progress, watch, options = progress or NoProgress(), Stopwatch(), options or DeviceOptions()
    check_max_drop(max_drop)
    wanted = check_min_agreement(min_agreement)
    check_threads(options.threads)
    transport, detail = split_device(device)
    if results is not None:
        require_results_file(Path(results))
    with watch.measure("load"):
        artifact = open_artifact(Path(folder))
    with ExitStack() as stack:
        with watch.measure("load"):
            split = images_for(artifact, stack.enter_context(image_folder(data, artifact.preprocess, progress)))
            images = limited(split.evaluation, limit)
        with watch.measure("device"):
            found, said = (
                (read_exported(detail), [])
                if transport == IOS
                else _run(artifact, images, device, options, progress, keep=keep)
            )
        require_same_program(found, artifact.manifest["files"]["model.pte"]["sha256"], artifact.folder)
        images = _those_of(found, images, split.evaluation)
        _require_classes(found, artifact)
        if results is not None:
            write_results(Path(results), found)
        with watch.measure("host"):
            logits, measured, findings = _on_this_host(artifact, images, options.threads, progress)
    limits = limit_note(len(images), len(split.evaluation))
    notes = (*split.notes, *limits, *findings.reservations, *_emulation_note(found), *said)
    logits["pte"] = found.logits
    evidence = _evidence(artifact, images, logits, found, measured["float"], notes, watch, findings)
    outcome = summarize(evidence, max_drop=max_drop, min_agreement=wanted)
    same = compare_logits(logits["host"], found.logits, [p.name for p in images]) if "host" in logits else None
    exact = is_exact(artifact)
    reasons = faults(same, exact=exact) if same is not None else ()
    if reasons:
        kept = () if outcome.verdict.passed else outcome.verdict.reasons
        outcome = replace(outcome, verdict=Verdict(passed=False, reasons=(*reasons, *kept)))
    return DeviceOutcome(outcome=outcome, results=found, same=same, exact=exact)


def _run(
    artifact: Artifact,
    images: Sequence[ImageRecord],
    device: str,
    options: DeviceOptions,
    progress: Progress,
    *,
    keep: bool,
) -> tuple[Results, list[str]]:
    """Reach the device first: images are decoded for one that is there. Its results, and its notes."""
    remote = open_device(device, options)
    with ExitStack() as stack:
        with explained_writes(Path(tempfile.gettempdir())):
            folder = stack.enter_context(scratch_folder())
        job = write_job(folder, artifact, images, remote.settings, progress)
        return run_job(remote, job, progress, keep=keep), remote.notes


def _those_of(found: Results, images: Sequence[ImageRecord], everything: Sequence[ImageRecord]) -> list[ImageRecord]:
    """The images of the results, in their order.

    Raises:
        InputError: an image that the data folder does not have.
    """
    by_hash = {image.sha256: image for image in (*everything, *images)}
    unknown = [name for name, sha256 in found.images if sha256 not in by_hash]
    if unknown:
        raise InputError(
            f"{found.where}: {len(unknown)} of its {len(found.images)} images are not among those of "
            f"--data (first: {unknown[0]}); give the folder that the job was made from."
        )
    return [by_hash[sha256] for _, sha256 in found.images]


def _require_classes(found: Results, artifact: Artifact) -> None:
    if found.logits.shape[1] != len(artifact.labels):
        raise InputError(
            f"{found.where}: {found.logits.shape[1]} logits an image, the artifact has {len(artifact.labels)} "
            "classes; run this artifact on the device."
        )


def _on_this_host(
    artifact: Artifact, images: Sequence[ImageRecord], threads: int, progress: Progress
) -> tuple[dict[str, torch.Tensor], dict[str, Measured], Findings]:
    """Logits of "float", and of "host", the same program, where this host runs it; reasons not to believe them."""
    paths = {"float": artifact.float_program}
    if runs_here(artifact.manifest["backend"]):
        paths["pte"] = artifact.program
    files = file_doubts(artifact)
    with HostRuntime(threads) as runtime:
        measured = measure_programs(
            runtime, paths, artifact.preprocess, images[0].path, progress, repeats=_HOST_REPEATS
        )
        verify_shapes(artifact, measured)
        verify_golden(artifact, measured, files)
        models: dict[str, Model] = {
            "host" if name == "pte" else name: program.run for name, program in measured.items()
        }
        models["hashes"] = hash_maker(artifact.preprocess)
        logits = collect_logits(models, images, artifact.preprocess, progress)
        hashes = logits.pop("hashes")
        findings = artifact_doubts(
            artifact, files, measured["float"].run, logits["float"], logits.get("host"), hashes, images
        )
        return logits, measured, findings


def _evidence(
    artifact: Artifact,
    images: Sequence[ImageRecord],
    logits: Mapping[str, torch.Tensor],
    found: Results,
    float_program: Measured,
    notes: tuple[str, ...],
    watch: Stopwatch,
    findings: Findings,
) -> Evidence:
    return Evidence(
        artifact=str(artifact.folder),
        variant=artifact.manifest["variant"],
        activation=artifact.manifest["activation"],
        recipe=artifact.manifest["recipe"]["name"],
        backend=artifact.manifest["backend"],
        threads=found.values["runtime"]["threads"],
        logits=logits,
        images=images,
        class_names=artifact.labels,
        float_program=float_program.figures,
        pte_program=ProgramFigures(
            latency_ms=found.latency_p50_ms,
            latency_p90_ms=found.latency_p90_ms,
            load_ms=found.load_ms,
            size_bytes=artifact.program.stat().st_size,
        ),
        delegation=artifact.delegation,
        calibration_images=len(artifact.calibrated_on),
        search=None,
        training=None,
        notes=notes,
        seconds=watch.total(),
        program=artifact.manifest["files"]["model.pte"]["sha256"],
        reservations=findings.reservations,
        doubts=findings.doubts,
        layers=artifact.layers() if "layers.json" in artifact.manifest["files"] else (),
    )


def _emulation_note(found: Results) -> tuple[str, ...]:
    if not found.values["device"]["emulated"]:
        return ()
    return ("Emulated: accuracy is a phone's, times are not.",)
