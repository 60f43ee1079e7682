"""`edge-effnet analyze`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from apps.cli.help import AsJson, epilog

EPILOG = epilog(
    "edge-effnet analyze b0-int8-xnnpack",
    "edge-effnet analyze b0-int8-xnnpack --by noise --top 20",
)


def analyze_command(
    folder: Annotated[Path, typer.Argument(help="Artifact folder that `quantize` wrote.")],
    by: Annotated[str, typer.Option(help="order (input to output) or noise (largest first).")] = "order",
    top: Annotated[int | None, typer.Option(min=1, help="Rows to show; default: all.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show layer by layer what quantization did, and where it breaks."""
    from apps.cli.render.analysis import print_analysis  # noqa: PLC0415
    from quant.artifact.open import open_artifact  # noqa: PLC0415

    print_analysis(open_artifact(folder).layers(), by=by, top=top, as_json=as_json)
    return exit_codes.PASS
