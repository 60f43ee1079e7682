"""How stages tell that they advance; the command line draws bars from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Receives the stages of a run."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Enter a stage of `total` steps; the value given advances it."""
        ...


class NoProgress:
    """Shows nothing."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:  # noqa: ARG002
        """Count nothing."""
        yield lambda _steps: None


class Stopwatch:
    """Seconds spent in each stage of a run, and in all."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def total(self) -> dict[str, float]:
        """Stages and their total, rounded to milliseconds."""
        stages = {name: round(value, 3) for name, value in self.seconds.items()}
        return {"total": round(time.perf_counter() - self._start, 3), **stages}
