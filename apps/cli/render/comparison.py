"""A comparison as a table of at most 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Column

from apps.cli.render.plain import as_text, plain_table
from quant.report.comparison import Row
from quant.report.formats import fixed, megabytes, percent


def comparison_table(rows: Sequence[Row]) -> str:
    """Return the table; the best in accuracy, latency and size together are marked."""
    figures = ("top-1, %", "agrees, %", "SQNR", "ms", "MB", "verdict", "Pareto")
    table = plain_table(Column("program", overflow="fold"), *figures, collapse_padding=True)
    for row in rows:
        table.add_row(*_cells(row))
    return as_text(table)


def _cells(row: Row) -> list[str]:
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
