"""One row of the table of tasks: what a network's outputs mean, and what they are held against."""

from __future__ import annotations

from dataclasses import dataclass

CLASS, LABELS, NUMBERS = "class", "labels", "numbers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a network is for."""

    name: str
    """As `--task` takes it."""
    summary: str
    """One line for the documentation."""
    targets: str
    """What an image is labelled with: `CLASS`, one of several (`ImageRecord.label`); `LABELS`, 0 or 1 for each
    output, or `NUMBERS`, one for each (`ImageRecord.targets`)."""
    kinds: tuple[str, ...]
    """What a program may put out (`quant.lower.output`), the default first."""
