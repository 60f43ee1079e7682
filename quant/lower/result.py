"""What lowering returns, whatever the backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Delegation:
    """What of the network runs in the backend."""

    partitions: int
    """Delegates in the program; one is best, since each boundary copies and converts."""
    delegated: int
    """Operators inside delegates."""
    left: int
    """Operators that portable kernels run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoweredProgram:
    """An ExecuTorch program and how it came out."""

    data: bytes
    """The .pte file's content."""
    delegation: Delegation
    input_shape: tuple[int, ...]
    """Float32, contiguous, batch included."""
    output_shape: tuple[int, ...]
    """Float32."""
