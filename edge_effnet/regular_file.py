"""Open files of others: regular ones only, since a pipe makes a reader wait for ever and a device has no end."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Raises:
        OSError: not there, or not readable.
        ValueError: something other than a regular file, or a name that no file can have.
    """
    return open(path, "rb", opener=_open)


def _open(path: str, flags: int) -> int:
    # Non-blocking, or opening a pipe would wait for a writer; looked at once it is open, when nobody can exchange it.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a regular file")
    return descriptor
