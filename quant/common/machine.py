"""What decides the bits of a result beside its inputs, seed and versions: the kind of processor, and the threads."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch


def machine() -> dict[str, Any]:
    """`processor`, the kind that this process computes on, and `threads`, on how many torch does.

    ATen, oneDNN and MKL choose kernels by the processor's instructions, and cut sums by the number of threads.
    """
    kind = f"{processor_name()} ({platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"
    return {"processor": kind, "threads": torch.get_num_threads()}


def processor_name() -> str:
    """What the processor calls itself, where Linux says so; else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
