"""`edge-effnet check`: parse, call, print, exit code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import exit_codes, options
from apps.cli.help import AsJson, HelpAll, Verbose
from apps.cli.render.bars import Bars
from apps.device.remote import DeviceOptions
from edge_effnet.errors import InputError
from quant.common.rank import is_alone, is_leader
from quant.thresholds import UNUSABLE_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from apps.device.outcome import DeviceOutcome, RuntimeOutcome


def check_command(
    folder: options.Folder,
    data: options.Images,
    labels: options.Labels = None,
    image_column: options.ImageColumn = None,
    label_column: options.LabelColumn = None,
    max_unusable: options.MaxUnusable = 100 * UNUSABLE_SHARE,
    max_drop: options.MaxDrop = None,
    min_agreement: options.MinAgreement = None,
    baseline: Annotated[Path | None, typer.Option(help="Baseline file to compare with, or write.")] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write this run's figures to --baseline.")
    ] = False,
    threads: Annotated[int, typer.Option(help="CPU threads for timing and evaluation.")] = 1,
    as_json: AsJson = False,
    verbose: Verbose = False,
    device: options.Device = None,
    runtime: options.Runtime = None,
    limit: options.Limit = None,
    results: options.ResultsFile = None,
    keep: options.Keep = False,
    emulator: options.Emulator = None,
    ssh_config: options.SshConfig = None,
    remote_python: options.RemotePython = "python3",
    apk: options.Apk = None,
    executor_runner: options.ExecutorRunner = None,
    _help_all: HelpAll = False,
) -> int:
    """Check a .pte's accuracy against float's, here or on a device."""
    given: dict[str, Any] = dict(locals())
    if runtime is not None and device is None:
        device = "host"
    images = options.read_options(labels, image_column, label_column, max_unusable)
    judged: dict[str, Any] = {"data": data, "max_drop": max_drop, "min_agreement": min_agreement}
    if device is None:
        if limit is not None or results is not None or keep:
            raise InputError("--limit, --results and --keep are for a device: add --device, or leave them out.")
        here = {"baseline": baseline, "update_baseline": update_baseline, "threads": threads, "images": images}
        return _check_here(folder, judged | here, as_json=as_json, verbose=verbose)
    if not is_alone():
        raise InputError("--device and --runtime run a program once: start them without torchrun.")
    if baseline is not None or update_baseline:
        raise InputError(
            "--baseline is for this host: leave out --device, or compare two results: edge-effnet compare."
        )
    transport = DeviceOptions(**{each.name: given[each.name] for each in fields(DeviceOptions) if each.name in given})
    there = {"device": device, "limit": limit, "results": results, "keep": keep, "image_options": images}
    return _check_there(folder, judged | there, transport, as_json=as_json)


def _check_here(folder: Path, settings: dict[str, Any], *, as_json: bool, verbose: bool) -> int:
    bars = Bars(quiet=not is_leader(), lines=not as_json)
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        # They take seconds to import: `--help` and usage errors need none of them.
        from apps.cli.render.outcome import print_outcome  # noqa: PLC0415
        from quant.pipeline.check import check  # noqa: PLC0415

    outcome = check(folder, progress=bars, **settings)
    if is_leader():
        print_outcome(outcome, as_json=as_json, verbose=verbose)
    return exit_codes.of_verdict(passed=outcome.passed)


def _check_there(folder: Path, settings: dict[str, Any], transport: DeviceOptions, *, as_json: bool) -> int:
    bars = Bars(lines=not as_json)
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from apps.cli.render.device import print_on_device  # noqa: PLC0415
        from apps.device.check import check_on_device, check_under_release  # noqa: PLC0415

    judge: Callable[..., DeviceOutcome | RuntimeOutcome]
    judge = check_on_device if transport.runtime is None else check_under_release
    found = judge(folder, options=transport, progress=bars, **settings)
    print_on_device(found, as_json=as_json)
    return exit_codes.of_verdict(passed=found.passed)
