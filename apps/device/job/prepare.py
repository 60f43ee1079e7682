"""A job folder for a device that cannot be reached from here."""

from __future__ import annotations

from pathlib import Path

from apps.device.job.folder import JOB, Job, write_job
from apps.device.job.limit import limited
from apps.device.job.settings import Settings
from quant.artifact.open import open_artifact
from quant.common.atomic_io import atomic_folder
from quant.common.overwrite import require_no_image, require_replaceable
from quant.common.progress import NoProgress, Progress
from quant.data.options import ImageOptions
from quant.pipeline.handed_over import Given
from quant.pipeline.judged_images import judged_images
from quant.program.host import check_threads


def prepare_job(
    folder: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    limit: int | None = None,
    threads: int = 1,
    image_options: ImageOptions | None = None,
    progress: Progress | None = None,
) -> Job:
    """Write a job folder, whole or not at all.

    Args:
        folder: the artifact.
        data: images, as for `quant.pipeline.check.check`.
        out: where to; a job folder that is there is replaced.
        limit: take fewer images, evenly of each class.
        threads: of the device's runtime.
        image_options: how images and labels are read.
        progress: told of the images decoded.

    Raises:
        InputError: something given cannot be used, something else stands at `out` or in it, or it lies among the
            images.
        MachineError: the disk refuses.
    """
    progress, out = progress or NoProgress(), Path(out)
    check_threads(threads)
    require_replaceable(out, (JOB,))
    require_no_image(out, data)
    artifact = open_artifact(Path(folder))
    artifact.require_images()
    with judged_images(artifact, Given(data=data), image_options, progress) as split, atomic_folder(out) as temporary:
        images = limited(split.evaluation, limit)
        job = write_job(temporary, artifact, images, Settings(threads=threads), progress)
        # Minutes have passed.
        require_replaceable(out, (JOB,))
    return Job(folder=out, values=job.values)
