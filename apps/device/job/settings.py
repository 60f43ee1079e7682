"""How a device runs and times a program, apart from the job: it needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a device runs and times a program."""

    threads: int = 1
    warmup: int = 10
    """Forwards that do not count: clocks rise, caches fill."""
    repeats: int = 50
    """Forwards that do."""
    loads: int = 3
    """Cold loads; their median is reported."""


EMULATED = Settings(warmup=0, repeats=1, loads=1)
"""An emulator's times say nothing of a phone's: as few as the format allows."""
