"""What `edge-effnet doctor` found, as a table of at most 80 columns. Imports nothing that could be missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.table import Table
from rich.text import Text

from apps.cli.render.plain import WIDTH, PlainConsole
from apps.doctor import Finding, is_sound


def doctor_table(findings: Sequence[Finding]) -> str:
    """A row a finding, with what to do below what is not ready; then whether all that is required is there."""
    console = PlainConsole()
    table = Table(box=box.SIMPLE_HEAD, show_header=False, width=min(WIDTH, console.width), padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, max_width=22)
    table.add_column(overflow="fold", ratio=1)
    for group, members in groupby(findings, key=lambda finding: finding.group):
        table.add_row(Text(group, style="bold"), "")
        for finding in members:
            table.add_row(f"  {finding.name}", _state(finding))
        table.add_section()
    with console.capture() as captured:
        console.print(table)
        if is_sound(findings):
            console.print("All that is required is here.", style="green")
        else:
            console.print("What is required and not here is marked with !.", style="red")
    return captured.get()


def _state(finding: Finding) -> Text:
    if finding.ready:
        return Text(finding.found)
    mark, style = ("! ", "red") if finding.required else ("- ", "yellow")
    said = f"{finding.found}: {finding.advice}" if finding.advice else finding.found
    return Text(f"{mark}{said}", style=style)
