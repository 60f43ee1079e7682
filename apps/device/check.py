"""The verdict on a device: its program's answers against the float network's, and against this host's."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from apps.device.job.drive import RunnerFailedError, run_job
from apps.device.job.folder import limit_findings, limited, write_job
from apps.device.job.results import Results, require_results_file, require_same_program, write_results
from apps.device.outcome import DeviceOutcome, RuntimeOutcome
from apps.device.remote import DeviceOptions, Remote
from apps.device.runtime_release import require_release, with_release
from apps.device.sameness import compare_logits, faults, is_exact, repeatability
from apps.device.table import IOS, TRANSPORTS, read_exported, split_device
from edge_effnet.errors import InputError
from edge_effnet.io.files import scratch_folder
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.common.atomic_io import explained_writes
from quant.common.findings import Finding, finding
from quant.common.progress import NoProgress, Progress, Stopwatch
from quant.data.readers.label_file import ImageOptions
from quant.data.split import ImageRecord
from quant.pipeline.check import Seen, judge_artifact, look
from quant.pipeline.handed_over import Given, judged_images
from quant.program.host import check_threads
from quant.program.timing import ProgramFigures
from quant.verdict.limits import Limits, asked_limits, require_limits


def check_on_device(
    folder: str | Path,
    *,
    device: str,
    data: str | Path,
    options: DeviceOptions | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    limit: int | None = None,
    results: str | Path | None = None,
    keep: bool = False,
    image_options: ImageOptions | None = None,
    progress: Progress | None = None,
) -> DeviceOutcome:
    """Run an artifact's program on a device and judge it there.

    Args:
        folder: the artifact.
        device: as `apps.device.table.FORMS` lists.
        data: images, as for `quant.pipeline.check.check`.
        options: of single transports.
        max_drop: top-1 that may be lost against float, points; the task's own limit where None.
        min_agreement: images that have to keep float's class, percent.
        limit: take fewer images, evenly of each class.
        results: write the device's results file there too; an older one there is replaced.
        keep: leave what was copied on the device.
        image_options: how images and labels are read.
        progress: told of every stage.

    Raises:
        InputError: something given cannot be used; the device sent results of something else.
        MachineError: the device is not there, goes away for good, has no room, or its runtime fails.
    """
    progress, watch, options = progress or NoProgress(), Stopwatch(), options or DeviceOptions()
    require_limits(max_drop, min_agreement)
    check_threads(options.threads)
    transport, detail = split_device(device)
    if options.runtime is not None:
        require_release(options.runtime, transport)
    if results is not None:
        require_results_file(Path(results))
    with watch.measure("load"):
        artifact = open_artifact(Path(folder))
    if options.runtime is not None:
        options = with_release(options, (transport, detail), progress)
    limits = asked_limits(artifact.task, max_drop, min_agreement)
    with ExitStack() as stack:
        with watch.measure("load"):
            artifact.require_images()
            split = stack.enter_context(judged_images(artifact, Given(data=data), image_options, progress))
            images = limited(split.evaluation, limit)
        with watch.measure("device"):
            if transport == IOS:
                found, notes = read_exported(detail), list[str]()
            else:
                # Reached first: images are decoded for one that is there.
                remote = TRANSPORTS[transport](detail, options)
                found, notes = _run(remote, artifact, images, progress, keep=keep), remote.notes
        images = _those_of(artifact, found, images, split.evaluation)
        if results is not None:
            write_results(Path(results), found)
        with watch.measure("host"):
            # The device's latency is what counts; this host's is only there to fill its column.
            seen = look(artifact, images, options.threads, progress, Stopwatch(), repeats=10)
    if found.values["device"]["emulated"]:
        notes = ["Emulated: accuracy is a phone's, times are not.", *notes]
    said = (finding("device", note) for note in notes)
    findings = (*split.findings, *limit_findings(len(images), len(split.evaluation)), *said)
    return _judged(artifact, seen, images, found, findings, watch, limits, options)


def check_under_release(folder: str | Path, *, options: DeviceOptions, **settings: Any) -> RuntimeOutcome:
    """Say what the release of executorch that the options name makes of an artifact's program.

    Settings and errors are those of `check_on_device`; a runner that fails is an answer.
    """
    assert options.runtime is not None
    found, because = None, ""
    try:
        found = check_on_device(folder, options=options, **settings)
    except RunnerFailedError as error:
        because = error.reason.rstrip(".")
    made_by = open_artifact(Path(folder)).manifest["versions"]["executorch"]
    return RuntimeOutcome(
        artifact=str(folder), release=options.runtime, made_by=made_by, device=found, because=because
    )


def _judged(
    artifact: Artifact,
    seen: Seen,
    images: Sequence[ImageRecord],
    found: Results,
    findings: Sequence[Finding],
    watch: Stopwatch,
    limits: Limits,
    options: DeviceOptions,
) -> DeviceOutcome:
    """Judge what the device found as a run here would be, and compare it with this host's."""
    host, logits = seen.logits.get("pte"), artifact.logits_of("pte", found.logits)
    same = None if host is None else compare_logits(host, logits, [p.name for p in images], artifact.task)
    # Kernels may change from release to release.
    exact, repeated = is_exact(artifact) and options.runtime_site is None, repeatability(found)
    own = [finding("device-varies", repeated.sentence, items=repeated.varied)] if repeated and repeated.varied else []
    if same is not None:
        why = faults(same, exact=exact, classes=artifact.task.exclusive)
        own += [finding("device-differs", reason) for reason in why]
    outcome = judge_artifact(
        artifact,
        seen,
        images=images,
        pte_logits=logits,
        pte_program=ProgramFigures(
            latency_ms=found.latency_p50_ms,
            latency_p90_ms=found.latency_p90_ms,
            load_ms=found.load_ms,
            size_bytes=artifact.program.stat().st_size,
        ),
        threads=found.values["runtime"]["threads"],
        findings=(*own, *findings),
        seconds=watch.total(),
        limits=limits,
    )
    return DeviceOutcome(outcome=outcome, results=found, same=same, exact=exact, repeated=repeated)


def _run(
    remote: Remote, artifact: Artifact, images: Sequence[ImageRecord], progress: Progress, *, keep: bool
) -> Results:
    with ExitStack() as stack:
        with explained_writes(Path(tempfile.gettempdir())):
            folder = stack.enter_context(scratch_folder())
        job = write_job(folder, artifact, images, remote.settings, progress)
        return run_job(remote, job, progress, keep=keep)


def _those_of(
    artifact: Artifact, found: Results, images: Sequence[ImageRecord], everything: Sequence[ImageRecord]
) -> list[ImageRecord]:
    """The images of an artifact's results, in their order.

    Raises:
        InputError: results of another program, or an image that the data folder does not have.
    """
    require_same_program(found, artifact.manifest["files"]["model.pte"]["sha256"], artifact.folder)
    by_hash = {image.sha256: image for image in (*everything, *images)}
    unknown = [name for name, sha256 in found.images if sha256 not in by_hash]
    if unknown:
        raise InputError(
            f"{found.where}: {len(unknown)} of its {len(found.images)} images are not among those of "
            f"--data (first: {unknown[0]}); give the folder that the job was made from."
        )
    if found.logits.shape[1] != len(artifact.labels):
        raise InputError(
            f"{found.where}: {found.logits.shape[1]} logits an image, the artifact has {len(artifact.labels)} "
            "classes; run this artifact on the device."
        )
    return [by_hash[sha256] for _, sha256 in found.images]
