"""`edge-effnet compare`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from apps.cli.help import AsJson, epilog

EPILOG = epilog(
    "edge-effnet compare host.json pixel8.json",
    "edge-effnet compare host.json pixel8.json --artifact b0-int8-xnnpack --json",
)


def compare_command(
    host: Annotated[Path, typer.Argument(help="Results file of `check --device host`.")],
    device: Annotated[Path, typer.Argument(help="Results file of the device.")],
    artifact: Annotated[Path | None, typer.Option(help="Artifact that both have to be of.")] = None,
    as_json: AsJson = False,
) -> int:
    """Compare two devices' results for the same program."""
    from apps.cli.render.device import print_comparison  # noqa: PLC0415
    from apps.device.sameness import compare  # noqa: PLC0415

    found = compare(host, device, artifact=artifact)
    print_comparison(found, as_json=as_json)
    return exit_codes.of_verdict(passed=found.passed)
