"""Commands on this machine and on devices: `edge-effnet doctor`, `devices`, `job` and `compare`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes, options
from apps.cli.help import AsJson, HelpAll
from apps.cli.render.bars import Bars
from apps.cli.render.plain import write, write_result
from apps.device.remote import DeviceOptions
from quant.thresholds import UNUSABLE_SHARE


def doctor_command(
    project: Annotated[
        Path | None, typer.Option(help="Android project whose native libraries must fit 16 KB pages.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show what is installed, what is missing and how to get it."""
    from apps.cli.render.doctor import doctor_table  # noqa: PLC0415
    from apps.doctor import examine, is_sound  # noqa: PLC0415

    findings = examine(project)
    sound = is_sound(findings)
    values = {"sound": sound, "findings": [asdict(one) for one in findings]}
    write_result(values, lambda: doctor_table(findings), as_json=as_json)
    return exit_codes.PASS if sound else exit_codes.MACHINE


def devices_command(emulator: options.Emulator = None, as_json: AsJson = False) -> None:
    """List the devices that `check --device` reaches from here."""
    from apps.cli.render.device import devices_table  # noqa: PLC0415
    from apps.device.listing import list_devices  # noqa: PLC0415

    found = list_devices(DeviceOptions(emulator=emulator))
    values = {"devices": [asdict(device) for device in found]}
    write_result(values, lambda: devices_table(found), as_json=as_json)


def job_command(
    folder: options.Folder,
    data: options.Images,
    out: Annotated[Path, typer.Option(help="Job folder; an earlier one is replaced.")],
    labels: options.Labels = None,
    image_column: options.ImageColumn = None,
    label_column: options.LabelColumn = None,
    max_unusable: options.MaxUnusable = 100 * UNUSABLE_SHARE,
    limit: options.Limit = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the device's runtime.")] = 1,
    _help_all: HelpAll = False,
) -> None:
    """Write a job folder for a device out of reach, such as an iPhone."""
    images = options.read_options(labels, image_column, label_column, max_unusable)
    bars = Bars(lines=True)
    with bars.waiting("Loading PyTorch"):
        from apps.device.job.folder import prepare_job  # noqa: PLC0415

    job = prepare_job(folder, data=data, out=out, limit=limit, threads=threads, image_options=images, progress=bars)
    write(
        f"Job {job.id}: {job.images} images, {job.bytes / 1e6:.1f} MB in {out}\n"
        f"Next: run it on the device, then edge-effnet check {folder} --data {data} --device ios:RESULTS.json\n"
    )


def compare_command(
    host: Annotated[Path, typer.Argument(help="Results file of `check --device host`.")],
    device: Annotated[Path, typer.Argument(help="Results file of the device.")],
    artifact: Annotated[Path | None, typer.Option(help="Artifact that both results have to belong to.")] = None,
    as_json: AsJson = False,
) -> int:
    """Compare two devices' results for the same program."""
    from apps.cli.render.device import print_comparison  # noqa: PLC0415
    from apps.device.sameness import compare  # noqa: PLC0415

    found = compare(host, device, artifact=artifact)
    print_comparison(found, as_json=as_json)
    return exit_codes.of_verdict(passed=found.passed)
