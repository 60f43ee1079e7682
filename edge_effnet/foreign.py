"""The boundary around readers of files that others made: what they raise becomes one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_effnet.errors import InputError, MachineError


@contextmanager
def foreign(sentence: str) -> Iterator[None]:
    """Turn what a reader of a damaged or hostile file raises, whichever one meets it first, into an `InputError`.

    Too little memory is not the file's fault, and a sentence of our own says more than this one.

    Args:
        sentence: which file, what it is not, and what to do.

    Raises:
        InputError: in place of what the reader raised.
    """
    try:
        yield
    except (InputError, MachineError, MemoryError):
        raise
    except Exception as error:
        raise InputError(sentence) from error
