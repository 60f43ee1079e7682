"""Keep the stack's own chatter (export, PT2E, lowering) out of the user's terminal and out of test warnings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY_LOGGERS = ("torch", "torchao", "executorch", "root")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence warnings and sub-error log lines of torch, torchao and executorch inside the block.

    They announce deprecations inside their own code and CUDA libraries that a CPU build does not have: nothing
    that the caller could act on. Exceptions and error records pass.
    """
    levels = {name: logging.getLogger(name).level for name in _CHATTY_LOGGERS}
    try:
        for name in _CHATTY_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
