"""Threads that decode large photographs take turns, so that two of 179 megapixels are not in memory at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Pixels that all threads of a process together may hold."""

    def __init__(self, *, total: int, free: int) -> None:
        """Start with none held.

        Args:
            total: pixels at once; a photograph of more is let in alone.
            free: pixels up to which a photograph does not count: usual ones never wait, on however many threads.
        """
        self._total, self._free = total, free
        self._changed = threading.Condition()
        self._held = 0

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Hold a photograph's pixels inside the block; wait before it while others hold too many."""
        if pixels <= self._free:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + pixels <= self._total)
            self._held += pixels
        try:
            yield
        finally:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()
