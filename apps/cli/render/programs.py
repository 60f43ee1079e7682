"""The outcome of a run over several backends as a table of at most 80 columns."""

from __future__ import annotations

from rich.table import Column, Table
from rich.text import Text

from apps.cli.render.outcome import print_end, print_seconds, verdict_text
from apps.cli.render.plain import PlainConsole, plain_table, write_result
from quant.lower.table import BACKENDS
from quant.metrics.metrics import decimals
from quant.metrics.tasks.classes import CLASSES
from quant.pipeline.results import MEASURED, ProgramRow, RunOutcome
from quant.report.formats import count


def print_run(outcome: RunOutcome, *, as_json: bool, report: str, data: str) -> None:
    """Print the results to standard output: one JSON object, or stages, table, verdict and what else there is to say.

    `report` is the page that shows them, `data` the images that were evaluated on.
    """
    write_result(outcome.to_json(), lambda: _report(outcome, report, data), as_json=as_json)


def _report(outcome: RunOutcome, report: str, data: str) -> str:
    console = PlainConsole()
    with console.capture() as captured:
        print_seconds(console, outcome.seconds)
        console.print(programs_table(outcome))
        print_end(
            console,
            verdict_text(passed=outcome.passed, reasons=[_verdict(outcome)], cautions=outcome.cautions),
            folder=outcome.folder,
            report=report,
            next_command=_next_command(outcome, data) if outcome.passed else (),
            # The remedy of what decided against the best program that failed.
            next_step=next((row.outcome.next_step for row in outcome.rows if row.outcome and not row.passed), ""),
            findings=[
                *(f"{row.name}: {sentence}" for row in outcome.rows for sentence in _sentences(row)),
                *outcome.notes,
            ],
        )
    return captured.get()


def _verdict(outcome: RunOutcome) -> str:
    measured = [row for row in outcome.rows if row.status == MEASURED]
    failed = [row.name for row in measured if not row.passed]
    return f"{count(len(measured), 'program')} measured here" + (f"; {', '.join(failed)} failed" if failed else "")


def _next_command(outcome: RunOutcome, data: str) -> tuple[str, ...]:
    """Check the best program; nothing where none was measured."""
    best = next((row.name for row in outcome.rows if row.status == MEASURED), None)
    return () if best is None else ("edge-effnet", "check", f"{outcome.folder}/{best}", "--data", data)


def programs_table(outcome: RunOutcome) -> Table:
    """The programs in their rank, a row each; 80 columns hold the widest."""
    task = next((row.outcome.task for row in outcome.rows if row.outcome is not None), CLASSES)
    columns = ("MB", "parts", "left", f"{task.figure.name} %", "agree %", "dB", "ms", "run")
    title = Text(f"{outcome.variant}, {outcome.recipe}")
    table = plain_table(Column("program", no_wrap=True), *columns, title=title, collapse_padding=True, padding=0)
    for row in outcome.rows:
        table.add_row(row.name, *_cells(row))
    return table


def _cells(row: ProgramRow) -> list[str]:
    """Megabytes, partitions, operators left over, accuracy, latency, and whether that was measured here."""
    if row.report is None or row.size_bytes is None:
        return [*[""] * 7, row.status]
    cells = [f"{row.size_bytes / 1e6:.2f}", str(row.report.partitions), str(len(row.report.leftovers))]
    if row.outcome is None:
        return [*cells, *[""] * 4, "not here"]
    figure, images = row.outcome.task.figure, row.outcome.evaluation_images
    fidelity, latency = row.outcome.pte, row.outcome.pte_program.latency_ms
    return [
        *cells,
        figure.text(figure.value(row.outcome.pte_accuracy), images),
        f"{100 * fidelity.agreement:.{decimals(images)}f}",
        f"{fidelity.sqnr_db:.1f}",
        "-" if latency is None else f"{latency:.1f}",
        f"on {images}",
    ]


def _sentences(row: ProgramRow) -> list[str]:
    """What a row's figures do not say."""
    found = [row.reason] if row.reason else []
    if row.outcome is not None:
        if row.outcome.evaluation_images == BACKENDS[row.backend].images:
            images = row.outcome.evaluation_images
            found.append(f"evaluated on {images} images, evenly spaced: a forward pass is slow")
        if not row.outcome.passed:
            found += [f"FAIL: {reason}" for reason in row.outcome.verdict.reasons]
    if row.simulated is not None:
        digits = decimals(row.simulated_images)
        found.append(
            f"the graph that it was made from agrees with float on {100 * row.simulated.agreement:.{digits}f} % "
            f"({row.simulated.sqnr_db:.1f} dB), simulated"
        )
    if row.report is not None:
        found += [*row.report.facts, *row.report.advice]
    return [*found, *row.warnings]
