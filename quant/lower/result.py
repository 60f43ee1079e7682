"""What lowering returns, whatever the backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
class Leftover:
    """An operator that portable kernels run."""

    node: str
    """Name in the lowered graph."""
    operator: str
    """Such as `aten.mul.Tensor`."""
    reason: str
    """Why the backend did not take it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoweredProgram:
    """An ExecuTorch program and how it came out."""

    data: bytes
    """The .pte file's content."""
    delegation: Delegation
    input_shape: tuple[int, ...]
    """Contiguous, batch included: float32 [1, 3, H, W], or with `takes_pixels` uint8 [1, H, W, 3]."""
    output_shape: tuple[int, ...]
    """Float32, or int8 where that was asked for."""
    leftovers: tuple[Leftover, ...] = ()
    takes_pixels: bool = False
    """Whether the program normalises by itself: its input is the resized, cropped image."""
    npu: Mapping[str, str] = field(default_factory=dict)
    """Which NPU it was compiled for, by which libraries, and what ran it here; empty of programs for others."""
    reference: Mapping[str, bytes] = field(default_factory=dict)
    """What runs here in the program's place, by the suffix of its file beside model.pte; empty where it does."""
    facts: tuple[str, ...] = ()
    """What was proved about the delegate by reading it back, a sentence each."""
