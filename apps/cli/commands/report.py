"""`edge-effnet report`: parse, call, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column

from apps.cli.help import AsJson
from apps.cli.render.bars import Bars
from apps.cli.render.plain import as_text, plain_table, write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quant.report.comparison import Row
    from quant.report.make import MadeReport


def report_command(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", help="Artifact folders, or folders of --backend runs.")
    ],
    data: Annotated[str | None, typer.Option(help="One artifact only: its images, to show in the report.")] = None,
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    as_json: AsJson = False,
) -> None:
    """Compare artifacts in an HTML page, or regenerate one's report."""
    bars = Bars(lines=not as_json)
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from quant.report.make import make_report  # noqa: PLC0415

    made = make_report(folders, data=data, out=out, progress=bars)
    write_result(_json(made), lambda: _text(made), as_json=as_json)


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
    from quant.report.formats import count  # noqa: PLC0415

    lines = [_table(made.rows)] if made.rows else []
    if made.missing:
        lines.append(
            f"{count(len(made.missing), 'image')} that changed class not shown: give those that the artifact was "
            "evaluated on (--data), unchanged.\n"
        )
    return "".join([*lines, f"Report: {made.page}\n"])


def _table(rows: Sequence[Row]) -> str:
    """A row a program; the best in accuracy, latency and size together are marked."""
    figures = ("top-1, %", "agrees, %", "SQNR", "ms", "MB", "verdict", "Pareto")
    table = plain_table(Column("program", overflow="fold"), *figures, collapse_padding=True)
    for row in rows:
        table.add_row(*_cells(row))
    return as_text(table)


def _cells(row: Row) -> list[str]:
    from quant.report.formats import fixed, megabytes, percent  # noqa: PLC0415

    figures, facts = row.figures, row.entry.facts
    costs = [fixed(figures.latency_ms, 2), megabytes(figures.size_bytes)]
    if row.is_float:
        return [f"{facts.variant} float", percent(figures.top1, facts.evaluated), "", "", *costs, "", ""]
    return [
        row.entry.name,
        percent(figures.top1, facts.evaluated),
        percent(figures.agreement, facts.evaluated),
        fixed(figures.sqnr_db, 1),
        *costs,
        row.entry.level,
        "optimal" if row.optimal else "",
    ]
