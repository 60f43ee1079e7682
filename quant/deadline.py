"""Reading and writing pipes whose other end may hang."""

from __future__ import annotations

import os
import select
import time


class PipeClosedError(Exception):
    """The other end is gone."""


def read_exactly(descriptor: int, count: int, until: float) -> bytes:
    """Read `count` bytes.

    Args:
        descriptor: of a pipe.
        count: bytes.
        until: `time.monotonic()` at which to give up.

    Raises:
        PipeClosedError: it ends before.
        TimeoutError: not there in time.
    """
    parts, left = [], count
    while left > 0:
        if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        part = os.read(descriptor, min(left, 1 << 20))
        if not part:
            raise PipeClosedError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes | memoryview, until: float) -> None:
    """Write `data` to a pipe that does not block; other arguments and errors as `read_exactly`."""
    view = memoryview(data)
    while view:
        if not select.select([], [descriptor], [], max(0.0, until - time.monotonic()))[1]:
            raise TimeoutError
        try:
            view = view[os.write(descriptor, view[: 1 << 20]) :]
        except BlockingIOError:
            continue
        except BrokenPipeError as error:
            raise PipeClosedError from error
