"""`edge-effnet sbom`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import exit_codes
from apps.cli.help import epilog

EPILOG = epilog(
    "edge-effnet sbom b0-int8-xnnpack",
    "edge-effnet sbom b0-int8-xnnpack > b0.cdx.json",
)


def sbom_command(
    folder: Annotated[Path, typer.Argument(help="Artifact folder that `quantize` wrote.")],
) -> int:
    """Print an artifact's bill of materials (CycloneDX).

    JSON, of its files, weights and software.
    """
    from apps.cli.render.plain import write_json  # noqa: PLC0415
    from quant.artifact.open import open_artifact  # noqa: PLC0415
    from quant.artifact.sbom import bill_of_materials  # noqa: PLC0415

    write_json(bill_of_materials(open_artifact(folder)))
    return exit_codes.PASS
