"""One runtime for many checks: the child process of production, started again only after a program has ended it.

A start imports torch: two seconds, and most tests look at something else. Those of the runtime start their own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

from quant.program.host import HostRuntime

_STARTERS = ("quant.pipeline.check", "quant.pipeline.run")
"""Modules that start a runtime."""


class WarmRuntime(HostRuntime):
    """Stands for `HostRuntime`: a block's end leaves the child alive."""

    _living: dict[int, WarmRuntime] = {}  # noqa: RUF012  (filled, by number of threads)
    _owner = os.getpid()

    def __new__(cls, threads: int = 1) -> HostRuntime:  # type: ignore[misc]
        """Give the living one."""
        if os.getpid() != cls._owner:  # a fork has the pipes of its parent's child, and none of its own
            return HostRuntime(threads)
        living = cls._living.get(threads)
        if living is None or living._child.poll() is not None:
            living = super().__new__(cls)
            HostRuntime.__init__(living, threads)
            cls._living[threads] = living
        return living

    def __init__(self, threads: int = 1) -> None:
        pass

    def close(self) -> None:
        """Bury a dead child; keep a living one."""
        if self._child.poll() is not None:
            super().close()


def run_program(folder: Path, data: bytes, inputs: torch.Tensor) -> torch.Tensor:
    """What a program, written into a folder, makes of inputs."""
    path = folder / "program.pte"
    path.write_bytes(data)
    with WarmRuntime() as runtime:
        return runtime.run(runtime.load(path, "program"), inputs)


@contextlib.contextmanager
def warm_runtime() -> Iterator[None]:
    """Let `quantize` and `check` of this process share a runtime."""
    with contextlib.ExitStack() as stack:
        for module in _STARTERS:
            stack.enter_context(mock.patch(f"{module}.HostRuntime", WarmRuntime))
        yield
        for living in WarmRuntime._living.values():
            HostRuntime.close(living)
        WarmRuntime._living.clear()
