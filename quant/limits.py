"""Limits that the runtime's child process sets itself before it reads a file of somebody else's."""

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
