"""`edge-effnet deploy`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from apps.cli.help import AsJson, epilog
from edge_effnet.io.text import plain

EPILOG = epilog(
    "edge-effnet deploy b0-int8-xnnpack --app android",
    "edge-effnet deploy b0-int8-xnnpack --app ios --project ~/src/flowers",
)


def deploy_command(
    folder: Annotated[Path, typer.Argument(help="Artifact folder that `quantize` wrote.")],
    app: Annotated[str, typer.Option(help="Kind of project: android or ios.")],
    project: Annotated[
        Path | None,
        typer.Option(help="Your app's project; default: this package's app."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Put an artifact into an app's project."""
    from apps.cli.render.plain import write, write_json  # noqa: PLC0415
    from apps.device.deploy import deploy  # noqa: PLC0415

    done = deploy(folder, app=app, project=project)
    if as_json:
        values = {"app": done.app.name, "folder": str(done.folder), "files": list(done.files), "bytes": done.bytes}
        write_json({**values, "notes": list(done.notes)})
    else:
        notes = "".join(f"{note}.\n" for note in done.notes)
        said = f"{len(done.files)} files, {done.bytes / 1e6:.1f} MB: {done.folder}\n{notes}Next: {done.next_step}\n"
        write(plain(said))
    return exit_codes.PASS
