"""Progress on standard error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apps.cli.render.plain import PlainConsole

_BRIEF_S = 2.0
"""Nobody wonders about a stage that takes less."""


class Bars:
    """Draws a bar with the time left for each stage where standard error is a terminal."""

    def __init__(self, *, quiet: bool = False, lines: bool = False) -> None:
        """Draw nothing and say nothing where `quiet`: of several processes that train together, one speaks.

        Elsewhere than on a terminal, `lines` say when a stage that takes longer than `_BRIEF_S` begins and ends, so
        that a log shows life.
        """
        self._console = PlainConsole(stderr=True, quiet=quiet)
        self._lines = lines and not self._console.is_terminal

    def say(self, sentence: str) -> None:
        """Print one sentence."""
        self._console.print(sentence)

    @contextmanager
    def waiting(self, title: str) -> Iterator[None]:
        """Show that something without steps is under way."""
        with self._console.status(title) if self._console.is_terminal else nullcontext():
            yield

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show one stage."""
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        )
        hidden = self._console.quiet or not self._console.is_terminal
        with Progress(*columns, console=self._console, disable=hidden) as progress:
            task = progress.add_task(title, total=total)
            with self._life(title, total):
                yield lambda steps: progress.advance(task, steps)

    @contextmanager
    def _life(self, title: str, total: int) -> Iterator[None]:
        """Say in lines that a stage is under way, and how long it took."""
        if not self._lines:
            yield
            return
        begun, start = threading.Timer(_BRIEF_S, self.say, [f"{title}: {total} to do"]), time.perf_counter()
        begun.start()
        try:
            yield
        finally:
            begun.cancel()
        if (taken := time.perf_counter() - start) > _BRIEF_S:
            self.say(f"{title}: done in {taken:.1f} s")
