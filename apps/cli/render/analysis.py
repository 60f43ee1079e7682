"""A layer-by-layer analysis as a table: as wide as the terminal, names whole, nothing cut where it is piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from rich.measure import Measurement
from rich.table import Column, Table

from apps.cli.render.plain import WIDTH, PlainConsole, plain_table, write, write_json
from edge_effnet.errors import InputError
from quant.analysis.layer_report import BROKEN_SQNR_DB, LayerReport, first_broken, reports_json
from quant.report.formats import count

_ORDERS: dict[str, Callable[[LayerReport], float]] = {
    "order": lambda report: 0.0,  # sorting is stable
    "noise": lambda report: -report.noise_share,
}

_CELLS: dict[str, Callable[[LayerReport], str]] = {
    "layer": lambda report: report.layer,
    "group": lambda report: report.group.removeprefix("group "),
    "operator": lambda report: report.operator,
    "values": lambda report: _range(report.seen),
    "int8 grid": lambda report: "float" if report.grid is None else _range(report.grid),
    "clipped, %": lambda report: "" if report.clipped is None else f"{100 * report.clipped:.2f}",
    "SQNR": lambda report: f"{report.sqnr_db:.1f}",
    "noise, %": lambda report: f"{100 * report.noise_share:.1f}",
}

_LEFT_OUT = ("values", "int8 grid", "operator", "clipped, %")
"""Columns that a narrow terminal does without, the first of them first: a name is never broken for them. Rows of one
layer are told apart by their operators."""


def print_analysis(reports: Sequence[LayerReport], *, by: str, top: int | None, as_json: bool) -> None:
    """Print a layer-by-layer analysis to standard output.

    `reports` run from input to output, `by` is a key of `_ORDERS`; of the rows `top` are printed, all where None.

    Raises:
        InputError: another `by`.
    """
    if by not in _ORDERS:
        raise InputError(f"--by {by!r}: choose one of {', '.join(_ORDERS)}.")
    broken = first_broken(reports)
    rows = sorted(reports, key=_ORDERS[by])[:top]
    if as_json:
        write_json({"layers": reports_json(rows), "first_broken": broken.layer if broken else None})
        return
    console = PlainConsole(widest=None)
    piped = not sys.stdout.isatty()
    columns = [name for name in _CELLS if name != "group" or any(report.group for report in rows)]
    for fewer in range(len(_LEFT_OUT) + 1):
        left_out = _LEFT_OUT[:fewer]
        table = _table(rows, [name for name in columns if name not in left_out])
        if piped or _width(console, table) <= console.width:
            break
    console.width = max(console.width, _width(console, table))
    with console.capture() as captured:
        console.print(table)
        if left_out:
            console.print(f"Left out for want of room: {', '.join(left_out)} (--json has all).", style="dim")
        low = sum(report.sqnr_db < BROKEN_SQNR_DB for report in reports)
        inside = f" ({count(low, 'activation')} inside layers {'is' if low == 1 else 'are'})" if low else ""
        said = f"No layer's output is below {BROKEN_SQNR_DB:.0f} dB{inside}."
        if broken is not None:
            where = f"{broken.layer} ({broken.operation}), {broken.sqnr_db:.1f} dB"
            said = f"First below {BROKEN_SQNR_DB:.0f} dB: {where}."
        console.print(said, soft_wrap=True)
    write(captured.get())


def _table(reports: Sequence[LayerReport], columns: Sequence[str]) -> Table:
    names = ("layer", "group", "operator")
    made = (Column(each, no_wrap=True) if each in names else each for each in columns)
    table = plain_table(*made, collapse_padding=True)
    for report in reports:
        table.add_row(*(_CELLS[column](report) for column in columns))
    return table


def _width(console: PlainConsole, table: Table) -> int:
    """Columns that the table needs where nothing is broken."""
    return Measurement.get(console, console.options.update(max_width=100 * WIDTH), table).maximum


def _range(values: tuple[float, float]) -> str:
    return f"{values[0]:.3g}..{values[1]:.3g}"
