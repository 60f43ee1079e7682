"""Text of others on a terminal: names may hold what moves the cursor, hides or adds lines, renames the window."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from edge_effnet.io.text import plain

WIDTH = 80

# On fewer columns tables have none left for their figures; what says so (COLUMNS=0 of a script) has no such terminal.
_NARROWEST = 40

_LONGEST_SENTENCE = 2000

_BREAKS = {ord("\n"): "\\n"}


def one_line(text: str) -> str:
    """`plain`, with line breaks replaced too: a name must not add a line that reads like one of ours."""
    return plain(text).translate(_BREAKS)


def sentence(text: str) -> str:
    """`one_line`, with the middle left out of what no person reads: its end says what to do."""
    line = one_line(text)
    half = _LONGEST_SENTENCE // 2
    return line if len(line) <= _LONGEST_SENTENCE else f"{line[:half]} [...] {line[-half:]}"


class PlainFormatter(logging.Formatter):
    """A warning as one sentence."""

    def format(self, record: logging.LogRecord) -> str:
        """Format, with the text made plain."""
        return sentence(super().format(record))


class PlainConsole(Console):
    """A console that takes text as text: no markup, emoji, breaks or control codes.

    It has at most `widest` columns; None takes what the terminal has.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False, widest: int | None = WIDTH) -> None:
        columns = Console(stderr=stderr).width
        super().__init__(
            stderr=stderr,
            quiet=quiet,
            width=min(widest or columns, columns) if columns >= _NARROWEST else WIDTH,
            highlight=False,
            emoji=False,
            markup=False,
        )

    def render_str(self, text: str, **settings: Any) -> Text:
        """Make text of a string: all of ours are of one line each."""
        return super().render_str(one_line(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with the text made plain; styles become escape codes only behind this."""
        if isinstance(renderable, Text) and "\n" in renderable.plain:
            renderable = Text(_BREAKS[ord("\n")]).join(renderable.split("\n", allow_blank=True))
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def plain_table(*columns: Column | str, wrap: bool = False, **settings: Any) -> Table:
    """A table without frames; a column that is only named holds figures: at the right, and whole unless `wrap`."""
    made = (Column(each, justify="right", no_wrap=not wrap) if isinstance(each, str) else each for each in columns)
    return Table(*made, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, **settings)


def as_text(table: Table) -> str:
    """What a table alone prints."""
    console = PlainConsole()
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def print_first(console: Console, lines: Sequence[str], shown: int, where: str = "") -> None:
    """Print some of many names, each cut to a line, and how many more there are; `where` says what has all."""
    for line in lines[:shown]:
        console.print(f"  {line}", style="dim", overflow="ellipsis", no_wrap=True)
    if len(lines) > shown:
        console.print(f"  and {len(lines) - shown} more{where}", style="dim")


def write(text: str) -> None:
    """Write to standard output; a reader that has seen enough is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer goes nowhere, or the interpreter would fail over it on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has seen enough (head, less) is no error: the exit code still tells the verdict.
        if not isinstance(error, BrokenPipeError):
            raise


def write_result(values: Any, text: Callable[[], str], *, as_json: bool) -> None:
    """Write a result to standard output: `values` as one JSON object, or the text that is made of it."""
    if as_json:
        write_json(values)
    else:
        write(text())


def write_json(values: Any) -> None:
    """Write one JSON object to standard output; NaN and infinity, which JSON has not, become null."""
    write(json.dumps(_of_json(values), indent=2, allow_nan=False) + "\n")


def _of_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _of_json(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_of_json(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
