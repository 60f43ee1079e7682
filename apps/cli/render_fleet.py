"""The outcome of a run over several backends as a table of at most 80 columns."""

from __future__ import annotations

import json

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from apps.cli.render import WIDTH, write
from quant.fleet.report import MEASURED, FleetOutcome, FleetRow
from quant.lower.table import BACKENDS


def print_fleet(outcome: FleetOutcome, *, as_json: bool) -> None:
    """Print the results to standard output: one JSON object, or a table and what there is to say about its rows."""
    write(json.dumps(outcome.to_json(), indent=2) + "\n" if as_json else _report(outcome))


def _report(outcome: FleetOutcome) -> str:
    console = Console(width=min(WIDTH, Console().width), highlight=False, emoji=False)
    with console.capture() as captured:
        for note in outcome.notes:
            console.print(note, style="dim", markup=False)
        console.print(_table(outcome))
        for row in outcome.rows:
            for sentence in _sentences(row):
                console.print(f"{row.name}: {sentence}", markup=False)
        word, colour = ("PASS", "green") if outcome.passed else ("FAIL", "red")
        measured = sum(row.status == MEASURED for row in outcome.rows)
        console.print(Text.assemble((word, f"bold {colour}"), f"  {measured} programs measured here"))
        stages = ", ".join(f"{name} {value:.0f}" for name, value in outcome.seconds.items() if name != "total")
        console.print(f"Seconds: {outcome.seconds['total']:.0f} ({stages})")
        console.print(f"Artifacts: {outcome.folder}", soft_wrap=True, markup=False)
    return captured.get()


def _table(outcome: FleetOutcome) -> Table:
    table = Table(
        title=Text(f"{outcome.variant}, {outcome.recipe}"),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1),
    )
    table.add_column("program", no_wrap=True)
    for column in ("MB", "parts", "left", "top-1, %", "agrees, %", "dB", "ms", "measured"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in outcome.rows:
        table.add_row(row.name, *_cells(row))
    return table


def _cells(row: FleetRow) -> list[str]:
    """Megabytes, partitions, operators left over, accuracy, latency, and whether that was measured here."""
    if row.report is None or row.size_bytes is None:
        return [*[""] * 7, row.status]
    cells = [f"{row.size_bytes / 1e6:.2f}", str(row.report.partitions), str(len(row.report.leftovers))]
    if row.outcome is None:
        return [*cells, *[""] * 4, "not here"]
    top1 = row.outcome.pte_accuracy.top1
    fidelity = row.outcome.pte
    return [
        *cells,
        "-" if top1 is None else f"{100 * top1:.2f}",
        f"{100 * fidelity.agreement:.2f}",
        f"{fidelity.sqnr_db:.1f}",
        f"{row.outcome.pte_program.latency_ms:.1f}",
        f"on {row.outcome.evaluation_images}",
    ]


def _sentences(row: FleetRow) -> list[str]:
    """What a row's figures do not say."""
    found = [row.reason] if row.reason else []
    if row.outcome is not None and BACKENDS[row.backend].photographs is not None:
        found.append(f"judged on {row.outcome.evaluation_images} photographs, spread evenly: a forward is slow")
    if row.outcome is not None and not row.outcome.passed:
        found += [f"FAIL: {reason}" for reason in row.outcome.verdict.reasons]
    if row.simulated is not None:
        found.append(
            f"the graph that it was made from agrees with float on {100 * row.simulated.agreement:.2f} % "
            f"({row.simulated.sqnr_db:.1f} dB), simulated"
        )
    if row.report is not None:
        found += [*row.report.facts, *row.report.advice]
    return [*found, *row.warnings]
