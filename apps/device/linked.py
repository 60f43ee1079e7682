"""What an app's project says of the ExecuTorch that it links and of the place for a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNKNOWN = "which ExecuTorch the project links"
"""Starts a sentence on what could not be found out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One place that asks for ExecuTorch."""

    where: Path
    library: str
    """Maven artifact of org.pytorch; "" where it is not named."""
    said: str
    """The version as it is written there; "" where none is."""
    version: str | None
    """Exact; None where what is written could not be resolved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Linked:
    """One project."""

    root: Path
    model: Path
    """Folder for the artifact."""
    pins: tuple[Pin, ...]
    backends: tuple[str, ...]
    """That the app links."""
    next_step: str
    """What to do when the model is there."""
    notes: tuple[str, ...] = ()
    """What could not be checked of its ExecuTorch, a sentence each."""
    place: str = ""
    """A sentence where the build may look for models elsewhere."""
