"""An outcome as a table of at most 80 columns."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Column, Table
from rich.text import Text

from apps.cli.render.plain import PlainConsole, plain_table, print_first, write_result
from quant.analysis.search_result import Found
from quant.common.findings import further_remedy
from quant.metrics.evaluate import MOST_SQNR_DB, NO_ACCURACY, Accuracy, Fidelity
from quant.metrics.metrics import decimals
from quant.metrics.tasks.task import Task
from quant.program.timing import ProgramFigures
from quant.qat.report import QatReport
from quant.report.formats import count
from quant.verdict.outcome import Outcome

_FLIPS_SHOWN = 5

_OUTPUTS_SHOWN = 10


def print_outcome(
    outcome: Outcome,
    *,
    as_json: bool,
    verbose: bool = False,
    report: str | None = None,
    next_command: Sequence[str] = (),
) -> None:
    """Print the results to standard output: one JSON object, or stages, tables, verdict, findings, what comes next.

    `verbose` adds what lowering alone changed, and what runs where; `report` is the page that shows the results, and
    `next_command` what the user may run next, word by word.
    """
    write_result(outcome.to_json(), lambda: _report(outcome, report, next_command, verbose=verbose), as_json=as_json)


def print_end(
    console: PlainConsole,
    verdict: Text,
    *,
    folder: str,
    report: str | None,
    next_command: Sequence[str],
    next_step: str = "",
    findings: Sequence[str] = (),
) -> None:
    """Print what every run ends with: verdict, findings, folder, next command or step; paths are never broken."""
    console.print(verdict)
    for line in findings:
        console.print(line, style="dim")
    where = f"Artifact: {folder}" + ("" if report is None else f" (open {report})")
    console.print(where, soft_wrap=True)
    if following := shlex.join(next_command) or next_step:
        console.print(f"Next: {following}", soft_wrap=True)


def print_seconds(console: PlainConsole, seconds: Mapping[str, float]) -> None:
    """Print what a run took, and its stages; a stage and its seconds stay on one line."""
    stages = ", ".join(f"{name}\N{NO-BREAK SPACE}{value:.0f}" for name, value in seconds.items() if name != "total")
    # rich breaks lines at such a space too.
    for line in textwrap.wrap(f"Seconds: {seconds['total']:.0f} ({stages})", console.width):
        console.print(line.replace("\N{NO-BREAK SPACE}", " "))


def verdict_text(*, passed: bool, reasons: Sequence[str], cautions: Sequence[str] = ()) -> Text:
    """The verdict in its colour, and why."""
    word, colour = ("PASS", "yellow" if cautions else "green") if passed else ("FAIL", "red")
    careful = f"; with caution: {'; '.join(cautions)}" if cautions else ""
    return Text.assemble((word, f"bold {colour}"), "  ", "; ".join(reasons), careful)


def _report(outcome: Outcome, report: str | None, next_command: Sequence[str], *, verbose: bool) -> str:
    console = PlainConsole()
    verdict = outcome.verdict
    with console.capture() as captured:
        print_seconds(console, outcome.seconds)
        if outcome.training is not None:
            console.print(_training(outcome.training))
        if outcome.search is not None:
            console.print(_search_table(outcome.search, outcome.task))
        console.print(_table(outcome))
        if outcome.outputs:
            console.print(_outputs_table(outcome))
        _print_details(console, outcome, verbose=verbose)
        print_end(
            console,
            verdict_text(passed=outcome.passed, reasons=verdict.reasons, cautions=verdict.cautions),
            folder=outcome.artifact,
            report=report,
            next_command=next_command,
            next_step=outcome.next_step,
            findings=finding_lines(outcome),
        )
    return captured.get()


def finding_lines(outcome: Outcome) -> list[str]:
    """A line each: code and remedy; the sentence too, where neither the verdict nor the next step has it."""
    said = {*outcome.verdict.reasons, *outcome.verdict.cautions}
    lines = []
    for found in outcome.findings:
        remedy = "" if found is outcome.decided else further_remedy(found.message, found.remedy)
        parts = ["" if found.message in said else found.message, remedy]
        sentences = " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)
        lines += [f"{found.severity} {found.code}: {sentences}"] if sentences else []
    known = {found.message for found in outcome.findings}
    return [*lines, *(note for note in outcome.notes if note not in known)]


def figure_rows(
    outcome: Outcome, accuracies: Sequence[Accuracy], fidelities: Sequence[Fidelity | None]
) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table: what the task counts, a cell each network, of which float has no fidelity."""
    images = outcome.evaluation_images
    for row in outcome.task.rows:
        values = [row.value(*found) for found in zip(accuracies, fidelities, strict=True)]
        of_float = "" if row.value(*fidelities) is not None else "-"
        yield row.title, *(of_float if value is None else row.text(value, images) for value in values)
        if row.key == "top1":
            yield "  95 % interval", *(interval(accuracy) for accuracy in accuracies)
        if row.key == "agreement" and outcome.changes is not None:
            for margin in outcome.changes.margins:
                kept = share(margin.agreement, margin.images) if margin.images else "-"
                name = f"  margin >= {margin.at_least:g} ({count(margin.images, 'image')})"
                yield name, *[""] * (len(accuracies) - 1), kept


def _table(outcome: Outcome) -> Table:
    title = (
        f"{outcome.variant}, {outcome.recipe}, {outcome.backend}: "
        f"{outcome.evaluation_images} images, calibrated on {outcome.calibration_images}"
    )
    middle = [("PTQ", outcome.ptq)] if outcome.ptq else []
    middle += [_quantized(outcome)] if outcome.quantized else []
    columns = ("float", *(name for name, _ in middle), ".pte")
    table = plain_table(Column(""), *columns, wrap=True, title=Text(title))
    accuracies = [outcome.float_accuracy, *(figures[0] for _, figures in middle), outcome.pte_accuracy]
    fidelities = [None, *(figures[1] for _, figures in middle), outcome.pte]
    programs = [outcome.float_program, *(None for _ in middle), outcome.pte_program]
    for cells in figure_rows(outcome, accuracies, fidelities):
        table.add_row(*cells)
    table.add_row(f"latency, ms ({count(outcome.threads, 'thread')})", *(_latency(p) for p in programs))
    table.add_row("  90th percentile", *(_latency(p, "latency_p90_ms") for p in programs))
    table.add_row("load, ms", *("" if p is None else f"{p.load_ms:.1f}" for p in programs))
    table.add_row("size, MB", *("" if p is None else f"{p.size_bytes / 1e6:.2f}" for p in programs))
    return table


def _quantized(outcome: Outcome) -> tuple[str, tuple[Accuracy, Fidelity]]:
    """The column before the program's; where it is of fewer images, without what only the same ones would compare."""
    assert outcome.quantized is not None
    name, (accuracy, fidelity) = "quantized" if outcome.ptq is None else "QAT", outcome.quantized
    if outcome.quantized_images == outcome.evaluation_images:
        return name, (accuracy, fidelity)
    return f"{name} ({outcome.quantized_images})", (NO_ACCURACY, fidelity)


def _outputs_table(outcome: Outcome) -> Table:
    """The outputs one by one: those that changed most are what a mean hides."""
    columns = [key for key in outcome.outputs[0] if key != "name"]
    names = (column.replace("_", " ") for column in columns)
    table = plain_table(Column("output", no_wrap=True), *names, wrap=True, collapse_padding=True, padding=0)
    rows = sorted(outcome.outputs, key=lambda row: row[columns[-1]] or 0.0)
    for row in rows[:_OUTPUTS_SHOWN]:
        figures = ("-" if row[column] is None else f"{row[column]:.4g}" for column in columns)
        table.add_row(Text(str(row["name"])), *figures)
    if len(rows) > _OUTPUTS_SHOWN:
        table.caption = f"the {_OUTPUTS_SHOWN} worst of {len(rows)} (manifest.json has all)"
    return table


def _search_table(found: Found, task: Task) -> Table:
    title = f"Layers in float, tried on {found.images} images; chance that the verdict holds"
    columns = ("layers", "added ms", "agrees, %", f"{task.figure.name} lost", "SQNR, dB", "chance, %", "")
    table = plain_table(*columns, wrap=True, title=title)
    for point in found.points:
        table.add_row(
            str(len(point.float_layers)),
            f"{point.added_ms:.2f}",
            share(point.agreement, found.images),
            f"{point.drop:+.{decimals(found.images)}f}",
            f"{point.sqnr_db:.1f}",
            f"{100 * point.chance:.0f}",
            "<- chosen" if point is found.chosen else "",
        )
    return table


def _swapped(outcome: Outcome) -> str:
    """What the other activation costs before int8, and the way to get it back."""
    assert outcome.swapped is not None
    accuracy, fidelity = outcome.swapped
    row, images = outcome.task.figure, outcome.evaluation_images
    found = row.value(accuracy)
    known = "" if found is None else f"{row.name} {row.text(found, images)} %, "
    said = f"{outcome.activation} in float, untrained: {known}{share(fidelity.agreement, images)} % agree"
    if outcome.training is not None:
        return said
    return f"{said}; to train it: --recipe qat-int8 --activation {outcome.activation}"


def _print_details(console: PlainConsole, outcome: Outcome, *, verbose: bool) -> None:
    digits = decimals(outcome.evaluation_images)
    if outcome.swapped is not None:
        console.print(_swapped(outcome))
    # Of classes the verdict's own sentence has it.
    if outcome.drop_interval is not None and (outcome.changes is None or outcome.changes.paired is None):
        # Like the verdict's sentence it counts what is lost as negative.
        low, high = (0.0 - 100 * value for value in reversed(outcome.drop_interval))
        name = outcome.task.figure.name[:1].upper() + outcome.task.figure.name[1:]
        console.print(f"{name} from float to .pte, 95 % interval: {low:+.{digits}f} to {high:+.{digits}f} points")
    if outcome.changes is not None:
        expected = outcome.changes.expected
        low, high = (100 * value for value in expected.interval)
        console.print(
            f"Expected loss of {outcome.task.figure.name}, by float's probabilities: "
            f"{100 * expected.share:.{digits}f} points ({low:.{digits}f} to {high:.{digits}f})"
        )
    if verbose:
        _print_internals(console, outcome)
    if outcome.flips:
        console.print(f"Changed {outcome.task.same}: {len(outcome.flips)} of {outcome.evaluation_images}")
    flips = [f"{flip.image}: {flip.float_class} -> {flip.pte_class}" for flip in outcome.flips]
    print_first(console, flips, _FLIPS_SHOWN, " (manifest.json has all)")


def _print_internals(console: PlainConsole, outcome: Outcome) -> None:
    """What the report has too, and few want on a screen."""
    lowering, delegation = outcome.lowering, outcome.delegation
    if lowering is not None:
        kept = share(lowering.agreement, outcome.quantized_images or outcome.evaluation_images)
        changed = f"{kept} % of images unchanged, {lowering.sqnr_db:.1f} dB"
        console.print(f"Lowering alone: {'no bit changed' if lowering.sqnr_db >= MOST_SQNR_DB else changed}")
    console.print(
        f"Delegation: {delegation.delegated} operators in {count(delegation.partitions, 'partition')}, "
        f"{delegation.left} left over"
    )


def _training(report: QatReport) -> str:
    trained = f"epoch {report.best_epoch} of {report.epochs}"
    kept = trained if report.best_epoch else "the PTQ network: no epoch beat it"
    return (
        f"Trained: {count(report.steps, 'step')} on {report.training_images} images; kept {kept}, by "
        f"{report.selection_images} others"
    )


def share(value: float | None, images: int) -> str:
    """A share of 1 in percent, with as many decimals as so many images carry."""
    return "-" if value is None else f"{100 * value:.{decimals(images)}f}"


def interval(accuracy: Accuracy) -> str:
    """The 95 % interval of top-1, in percent."""
    found = accuracy.top1_interval
    return "-" if found is None else f"{100 * found[0]:.1f}-{100 * found[1]:.1f}"


def _latency(program: ProgramFigures | None, of: str = "latency_ms") -> str:
    milliseconds = None if program is None else getattr(program, of)
    return "" if milliseconds is None else f"{milliseconds:.2f}"
