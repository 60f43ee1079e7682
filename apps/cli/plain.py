"""Text of others on a terminal: names may hold what moves the cursor, hides lines or renames the window."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

WIDTH = 80

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
# What reorders a line so that it reads otherwise than it is.
_CONTROLS |= {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


def plain(text: str) -> str:
    """Replace control characters but line breaks and tabs by their codes."""
    return text.translate(_CONTROLS)


class PlainConsole(Console):
    """A console of at most `WIDTH` columns that takes text as text: no markup, emoji or control characters."""

    def __init__(self) -> None:
        super().__init__(width=min(WIDTH, Console().width), highlight=False, emoji=False, markup=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with the text made plain; styles become escape codes only behind this."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


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
