"""Ctrl-C and SIGTERM held back for a moment: between starting a child process and knowing whom to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_HELD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let signals that would end the block come after it.

    `subprocess.Popen` waits for the child to run its program; an exception raised there loses the child, which nobody
    then ends. Python gives signals to the main thread alone; on others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in _HELD}
    try:
        for number, handler in before.items():
            if callable(handler):  # what is ignored, or ends the process at once, stays so
                signal.signal(number, lambda which, _frame: came.append(which))
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
