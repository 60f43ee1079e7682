"""What devices computed, as tables of at most 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from apps.cli.render.outcome import figure_rows, finding_lines, share, verdict_text
from apps.cli.render.plain import PlainConsole, as_text, plain_table, print_first, write_result
from apps.device.job.results import Results
from apps.device.listing import Listed
from apps.device.outcome import DeviceOutcome, RuntimeOutcome
from apps.device.sameness import Comparison, Sameness
from quant.report.formats import count

_FLIPS_SHOWN = 5


def print_on_device(found: DeviceOutcome | RuntimeOutcome, *, as_json: bool) -> None:
    """Print the verdict on a device: one JSON object, or a table, what differs from this host, and the verdict.

    Of another release also what it makes of the program, where that runs under it.
    """

    def text() -> str:
        return _runtime_text(found) if isinstance(found, RuntimeOutcome) else _device_text(found)

    write_result(found.to_json(), text, as_json=as_json)


def _runtime_text(found: RuntimeOutcome) -> str:
    console = PlainConsole()
    with console.capture() as captured:
        said = f"Under executorch {found.release} (made by {found.made_by}): {found.sentence}"
        console.print(said, soft_wrap=True)
        if found.device is None:
            console.print(verdict_text(passed=False, reasons=[found.sentence]))
    return ("" if found.device is None else _device_text(found.device)) + captured.get()


def _device_text(found: DeviceOutcome) -> str:
    outcome, device = found.outcome, found.results.values["device"]
    console = PlainConsole()
    with console.capture() as captured:
        console.print(f"{device['name']}: {_words(device)}")
        title = f"{outcome.variant}, {outcome.recipe}, {outcome.backend}: {outcome.evaluation_images} images"
        table = _table(title, "float, here", ".pte, there")
        accuracies = (outcome.float_accuracy, outcome.pte_accuracy)
        for cells in figure_rows(outcome, accuracies, (None, outcome.pte)):
            table.add_row(*cells)
        for name, value in _figures(found.results):
            table.add_row(name, "", value)
        console.print(table)
        if found.repeated is not None:
            again = found.repeated
            varied = f"{len(again.varied)} with other bits" if again.varied else "the same bits"
            console.print(f"Run again: {again.images} images, {again.reruns} reruns, {varied}")
        if found.same is not None:
            _print_same(console, found.same, "this host", exact=found.exact, answer=outcome.task.same)
        verdict = outcome.verdict
        console.print(verdict_text(passed=outcome.passed, reasons=verdict.reasons, cautions=verdict.cautions))
        for line in finding_lines(outcome):
            console.print(line, style="dim")
        if outcome.next_step:
            console.print(f"Next: {outcome.next_step}", soft_wrap=True)
    return captured.get()


def print_comparison(found: Comparison, *, as_json: bool) -> None:
    """Print two devices side by side: one JSON object, or a table and the verdict."""
    write_result(found.to_json(), lambda: _comparison_text(found), as_json=as_json)


def _comparison_text(found: Comparison) -> str:
    console = PlainConsole()
    sides = (found.reference, found.other)
    with console.capture() as captured:
        for note in found.notes:
            console.print(note, style="dim")
        names = [results.values["device"]["name"] for results in sides]
        table = _table(f"{found.same.images} images", *names)
        table.add_row("where", *(_words(results.values["device"]) for results in sides))
        for before, after in zip(*(_figures(results) for results in sides), strict=True):
            table.add_row(before[0], before[1], after[1])
        console.print(table)
        _print_same(console, found.same, names[0], exact=found.exact)
        reasons = found.reasons or ("no more than rounding apart",)
        console.print(verdict_text(passed=found.passed, reasons=reasons))
    return captured.get()


def devices_table(devices: Sequence[Listed]) -> str:
    """A row a device."""
    table = plain_table(*(Column(name, overflow="fold") for name in ("--device", "what", "")))
    for device in devices:
        state = Text("ready", style="green") if device.ready else Text(device.note)
        table.add_row(device.device, device.what, state)
    return as_text(table)


def _table(title: str, *names: str) -> Table:
    figures = (Column(Text(name), justify="right", overflow="fold") for name in names)
    return plain_table(Column("", overflow="fold"), *figures, title=Text(title))


def _figures(results: Results) -> list[tuple[str, str]]:
    """Name and value of what a device measured."""
    values = results.values
    memory, latency = values["peak_memory_bytes"], values["latency"]
    pauses = f", {latency['pauses']} pauses" if latency["pauses"] else ""
    return [
        (f"latency, ms ({count(values['runtime']['threads'], 'thread')})", f"{results.latency_p50_ms:.2f}"),
        ("  90th percentile", f"{results.latency_p90_ms:.2f}{pauses}"),
        ("cold load, ms", f"{results.load_ms:.1f}"),
        ("peak memory, MB", "-" if memory is None else f"{memory / 1e6:.0f}"),
        ("temperature, °C", _temperature(values["thermal"])),
        ("runtime", values["runtime"]["version"]),
    ]


def _temperature(thermal: dict[str, Any] | None) -> str:
    if thermal is None:
        return "-"
    before, after = ("?" if thermal[key] is None else f"{thermal[key]:.0f}" for key in ("before_c", "after_c"))
    return f"{before} to {after}"


def _words(device: dict[str, str]) -> str:
    parts = [device[key] for key in ("transport", "soc", "abi", "os")]
    return ", ".join(part for part in (*parts, "emulated" if device["emulated"] else "") if part)


def _print_same(console: Console, same: Sameness, reference: str, *, exact: bool, answer: str = "class") -> None:
    bits = "required of all-int8 programs" if exact else "not required: float layers, or another release"
    console.print(
        f"Against {reference}: {same.identical} of {same.images} bit-identical ({bits}), "
        f"{share(same.agreement, same.images)} % the same {answer}, {same.sqnr_db:.1f} dB",
        markup=False,
    )
    print_first(console, same.flips, _FLIPS_SHOWN)
