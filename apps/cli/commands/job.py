"""`edge-effnet job`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from apps.cli.help import HelpAll, epilog
from apps.cli.options import ImageColumn, LabelColumn, Labels, Limit, MaxUnusable, read_options
from quant.thresholds import UNUSABLE_SHARE

EPILOG = epilog(
    "edge-effnet job b0-int8-xnnpack --data photos --out job",
    "edge-effnet job b0-int8-xnnpack --data photos --limit 100 --out job",
)


def job_command(
    folder: Annotated[Path, typer.Argument(help="Artifact folder that `quantize` wrote.")],
    data: Annotated[str, typer.Option(help="Images (val/ of it is used), or `sample`.")],
    out: Annotated[Path, typer.Option(help="Job folder; an earlier one is replaced.")],
    labels: Labels = None,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    max_unusable: MaxUnusable = 100 * UNUSABLE_SHARE,
    limit: Limit = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the device's runtime.")] = 1,
    _help_all: HelpAll = False,
) -> int:
    """Write a job folder for a device out of reach, such as an iPhone."""
    from apps.cli.render.bars import Bars  # noqa: PLC0415

    images = read_options(labels, image_column, label_column, max_unusable)
    bars = Bars(lines=True)
    with bars.waiting("Loading PyTorch"):
        from apps.cli.render.plain import write  # noqa: PLC0415
        from apps.device.job.folder import prepare_job  # noqa: PLC0415

    job = prepare_job(folder, data=data, out=out, limit=limit, threads=threads, image_options=images, progress=bars)
    write(
        f"Job {job.id}: {job.images} images, {job.bytes / 1e6:.1f} MB in {out}\n"
        f"Next: run it on the device, then edge-effnet check {folder} --data {data} --device ios:RESULTS.json\n"
    )
    return exit_codes.PASS
