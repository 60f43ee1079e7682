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
    rerun_images: int = 4
    """Images, evenly of all, that run again at the end: their bits have to come again."""
    reruns: int = 4
    """How often each of them does."""


EMULATED = Settings(warmup=0, repeats=1, loads=1, rerun_images=2, reruns=1)
"""An emulator's times say nothing of a phone's: as few as the format allows. Each forward takes about a second."""
