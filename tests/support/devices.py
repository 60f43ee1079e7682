"""Progress that makes things happen at chosen moments of a run on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Trigger:
    """Calls functions at the first step of a stage, each once."""

    def __init__(self, **at: Callable[[], object]) -> None:
        self.at = dict(at)
        self.seen: list[tuple[str, int]] = []
        """Stages with their steps, as they were entered."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.seen.append((title, total))

        def advance(_steps: int) -> None:
            action = self.at.pop(title, None)
            if action is not None:
                action()

        yield advance
