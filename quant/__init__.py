"""Quantize an EfficientNet, lower it, and prove that it still sees what it saw."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quant.pipeline.check import check
    from quant.pipeline.quantize import quantize

__all__ = ["check", "quantize"]


_HOMES = {"check": "quant.pipeline.check", "quantize": "quant.pipeline.quantize"}


def __getattr__(name: str) -> Any:
    """Import the stack (seconds) only when it is used, so that `--help` and light imports stay instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'quant' has no attribute {name!r}")
    from quant.common.quiet import quiet_libraries  # noqa: PLC0415  (so that `import quant` alone stays light)

    # The stack warns while it is imported, and a user's tests may take warnings for errors.
    with quiet_libraries():
        return getattr(importlib.import_module(_HOMES[name]), name)
