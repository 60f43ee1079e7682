"""Small commands on an artifact: `edge-effnet analyze`, `deploy` and `sbom`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli.help import AsJson, within
from apps.cli.options import Folder
from apps.cli.render.plain import write_json, write_result
from edge_effnet.io.text import plain


def analyze_command(
    folder: Folder,
    by: Annotated[str, typer.Option(help="order (input to output) or noise (largest first).")] = "order",
    top: Annotated[int | None, typer.Option(callback=within(1), help="Rows to show; default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show layer by layer what quantization did, and where it breaks."""
    from apps.cli.render.analysis import print_analysis  # noqa: PLC0415
    from quant.artifact.open import open_artifact  # noqa: PLC0415

    print_analysis(open_artifact(folder).layers(), by=by, top=top, as_json=as_json)


def deploy_command(
    folder: Folder,
    app: Annotated[str, typer.Option(help="Kind of project: android or ios.")],
    project: Annotated[Path | None, typer.Option(help="Your app's project; default: the demo app.")] = None,
    module: Annotated[str | None, typer.Option(help="Android module to put it into; default: the app.")] = None,
    self_test: Annotated[bool, typer.Option("--self-test", help="Also copy the golden images.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy an artifact into an app's project."""
    from apps.device.deploy import deploy  # noqa: PLC0415

    done = deploy(folder, app=app, project=project, module=module, self_test=self_test)
    values = {"app": done.app.name, "folder": str(done.folder), "files": list(done.files), "bytes": done.bytes}
    notes = "".join(f"{note}.\n" for note in done.notes)
    said = f"{len(done.files)} files, {done.bytes / 1e6:.1f} MB: {done.folder}\n{notes}Next: {done.next_step}\n"
    write_result({**values, "notes": list(done.notes)}, lambda: plain(said), as_json=as_json)


def sbom_command(folder: Folder) -> None:
    """Print an artifact's bill of materials (CycloneDX).

    JSON, of its files, weights and software.
    """
    from quant.artifact.open import open_artifact  # noqa: PLC0415
    from quant.artifact.sbom import bill_of_materials  # noqa: PLC0415

    write_json(bill_of_materials(open_artifact(folder)))
