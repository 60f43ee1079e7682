"""An outcome as a table of at most 80 columns."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from quant.evaluate import Accuracy, Fidelity
from quant.outcome import Outcome, ProgramFigures

_WIDTH = 80
_FLIPS_SHOWN = 5


def print_outcome(outcome: Outcome, *, as_json: bool, next_command: Sequence[str] = ()) -> None:
    """Print the results to standard output: one JSON object, or a table, the flips, the verdict and what is next.

    Args:
        outcome: what to print.
        as_json: as the object.
        next_command: what the user may run next, word by word.
    """
    text = json.dumps(outcome.to_json(), indent=2) + "\n" if as_json else _report(outcome, next_command)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer goes nowhere, or the interpreter would fail over it on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has seen enough (head, less) is no error: the exit code still tells the verdict.
        if not isinstance(error, BrokenPipeError):
            raise


def _report(outcome: Outcome, next_command: Sequence[str]) -> str:
    console = Console(width=min(_WIDTH, Console().width), highlight=False, emoji=False)
    with console.capture() as captured:
        for note in outcome.notes:
            console.print(f"note: {note}", style="dim", markup=False)
        console.print(_table(outcome))
        _print_details(console, outcome)
        word, colour = ("PASS", "green") if outcome.passed else ("FAIL", "red")
        console.print(Text.assemble((word, f"bold {colour}"), "  ", "; ".join(outcome.verdict.reasons)))
        console.print(f"Artifact: {outcome.artifact}", soft_wrap=True, markup=False)
        if next_command:
            console.print(f"Next: {shlex.join(next_command)}", soft_wrap=True, markup=False)
    return captured.get()


def _table(outcome: Outcome) -> Table:
    title = (
        f"{outcome.variant}, {outcome.recipe}, {outcome.backend}: "
        f"{outcome.evaluation_images} photographs, calibrated on {outcome.calibration_images}"
    )
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("")
    columns = ["float", *(["quantized"] if outcome.quantized else []), ".pte"]
    for column in columns:
        table.add_column(column, justify="right")
    quantized = outcome.quantized or (None, None)
    accuracies = [outcome.float_accuracy, *([quantized[0]] if quantized[0] else []), outcome.pte_accuracy]
    fidelities = [None, *([quantized[1]] if quantized[1] else []), outcome.pte]
    programs = [outcome.float_program, *([None] if outcome.quantized else []), outcome.pte_program]
    table.add_row("top-1, %", *(_share(a.top1) for a in accuracies))
    table.add_row("  95 % interval", *(_interval(a) for a in accuracies))
    table.add_row("top-5, %", *(_share(a.top5) for a in accuracies))
    table.add_row("agrees with float, %", *("" if f is None else _share(f.agreement) for f in fidelities))
    table.add_row("SQNR, dB", *(_sqnr(f) for f in fidelities))
    table.add_row(f"latency, ms ({_count(outcome.threads, 'thread')})", *(_latency(p) for p in programs))
    table.add_row("  90th percentile", *("" if p is None else f"{p.latency_p90_ms:.2f}" for p in programs))
    table.add_row("load, ms", *("" if p is None else f"{p.load_ms:.1f}" for p in programs))
    table.add_row("size, MB", *("" if p is None else f"{p.size_bytes / 1e6:.2f}" for p in programs))
    return table


def _print_details(console: Console, outcome: Outcome) -> None:
    if outcome.lowering is not None:
        console.print(
            f"Lowering alone: {_share(outcome.lowering.agreement)} % of photographs unchanged, "
            f"{outcome.lowering.sqnr_db:.1f} dB"
        )
    if outcome.drop_interval is not None:
        low, high = (100 * value for value in outcome.drop_interval)
        console.print(f"Top-1 lost, 95 % interval: {low:+.2f} to {high:+.2f} points")
    delegation = outcome.delegation
    console.print(
        f"Delegation: {delegation.delegated} operators in {_count(delegation.partitions, 'partition')}, "
        f"{delegation.left} left over"
    )
    if outcome.flips:
        console.print(f"Changed class: {len(outcome.flips)} of {outcome.evaluation_images}")
    for flip in outcome.flips[:_FLIPS_SHOWN]:
        text = f"  {flip.photograph}: {flip.float_class} -> {flip.pte_class}"
        console.print(text, style="dim", overflow="ellipsis", no_wrap=True, markup=False)
    if len(outcome.flips) > _FLIPS_SHOWN:
        console.print(f"  and {len(outcome.flips) - _FLIPS_SHOWN} more (manifest.json has all)", style="dim")
    stages = ", ".join(f"{name} {value:.0f}" for name, value in outcome.seconds.items() if name != "total")
    console.print(f"Seconds: {outcome.seconds['total']:.0f} ({stages})")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _interval(accuracy: Accuracy) -> str:
    interval = accuracy.top1_interval
    return "-" if interval is None else f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f}"


def _sqnr(fidelity: Fidelity | None) -> str:
    return "" if fidelity is None else f"{fidelity.sqnr_db:.1f}"


def _latency(program: ProgramFigures | None) -> str:
    return "" if program is None else f"{program.latency_ms:.2f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
