"""The backends by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import fx

from edge_effnet.errors import InputError
from quant.lower.result import LoweredProgram
from quant.lower.xnnpack import lower_xnnpack

LowerFunction = Callable[[fx.GraphModule, tuple[int, ...]], LoweredProgram]

BACKENDS: dict[str, LowerFunction] = {
    "xnnpack": lower_xnnpack,
}


def find_backend(name: str) -> LowerFunction:
    """Look a backend up.

    Raises:
        InputError: no such backend; the message lists the choices.
    """
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}; choose one of: {', '.join(BACKENDS)}.")
    return BACKENDS[name]
