"""Keep freed memory in the process."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> None:
    """Tell glibc's malloc to reuse large blocks instead of returning them to the system.

    Activations are tens of MiB, and each would be mapped, zeroed page by page and unmapped again: on two cores
    the kernel's part came to more than half of a run's time (45 of 79 CPU seconds for 250 photographs). Other C
    libraries lack the call; then nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
