"""`edge-effnet report`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import exit_codes
from apps.cli.help import AsJson
from apps.cli.render.bars import Bars
from apps.cli.render.plain import write, write_json

if TYPE_CHECKING:
    from quant.report.make import MadeReport


def report_command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Artifact folders, or folders of --backend runs.")
    ],
    data: Annotated[str | None, typer.Option(help="Images of one artifact, to show what changed.")] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    as_json: AsJson = False,
) -> int:
    """Compare artifacts on a page; of one, regenerate its report."""
    bars = Bars(lines=not as_json)
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from quant.report.make import make_report  # noqa: PLC0415

    made = make_report(folders, data=data, out=out, progress=bars)
    if as_json:
        write_json(_json(made))
    else:
        write(_text(made))
    return exit_codes.PASS


def _json(made: MadeReport) -> dict[str, Any]:
    programs = [
        {
            "name": row.entry.name,
            "verdict": row.entry.level,
            "top1": row.figures.top1,
            "agreement": row.figures.agreement,
            "latency_ms": row.figures.latency_ms,
            "size_bytes": row.figures.size_bytes,
            "pareto_optimal": row.optimal,
        }
        for row in made.rows
        if not row.is_float
    ]
    return {"report": str(made.page), "programs": programs, "without_picture": list(made.missing)}


def _text(made: MadeReport) -> str:
    from apps.cli.render.comparison import comparison_table  # noqa: PLC0415

    lines = [comparison_table(made.rows)] if made.rows else []
    if made.missing:
        lines.append(
            f"{len(made.missing)} images that changed class are without a picture: give those that the artifact "
            "was judged on (--data), unchanged.\n"
        )
    return "".join([*lines, f"Report: {made.page}\n"])
