"""What keeps the runtime's child process in bounds: memory, and its peak."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

BASE_BYTES = 4 * 1024**3
"""Address space that any program may take beyond the libraries: the largest variant's activations fit."""

BYTES_PER_FILE_BYTE = 6
"""More for large files: read, verified, and weights packed once more by the backend."""


def limit_memory(bytes_to_read: int) -> None:
    """Let this process allocate so much more than it has now; beyond it an allocation fails instead of the machine.

    Linux only: macOS takes the limit and ignores it.

    Args:
        bytes_to_read: size of the file that is read next.
    """
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    wanted = pages * resource.getpagesize() + BASE_BYTES + BYTES_PER_FILE_BYTE * bytes_to_read
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))


def no_core_dump() -> None:
    """Let a crash leave nothing on the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak() -> None:
    """Set the peak to what is resident now, where the system can do that (Linux)."""
    if _CLEAR.exists():
        _CLEAR.write_text("5")


def peak_bytes() -> int:
    """Return the most memory that was resident at once: since `reset_peak` on Linux, since the start elsewhere."""
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
