"""How a command's process behaves: memory is kept, imports are no garbage, turns are short, waiting threads sleep."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys


def keep_freed_memory() -> None:
    """Tell glibc's malloc to reuse large blocks instead of returning them to the system.

    Activations are tens of MiB, and each would be mapped, zeroed page by page and unmapped again: on two cores
    the kernel's part came to more than half of a run's time (45 of 79 CPU seconds for 250 images). Other C
    libraries lack the call; then nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # As malloc.h names them.
        trim_threshold, mmap_max, arena_max = -1, -4, -8
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        # What a thread freed is of use to all.
        mallopt(arena_max, 1)


def collect_seldom() -> None:
    """Keep the collector from walking over everything that torch and ExecuTorch are: 0.3 s each time, 1.3 at the end.

    Graphs and arrays are freed without it, when nobody refers to them any more.
    """
    # It looks at younger objects so often before it looks at all of them; of itself 10 times.
    gc.set_threshold(*gc.get_threshold()[:2], 100)
    atexit.register(gc.freeze)


def take_short_turns() -> None:
    """Let threads of Python code that gives up its lock often come to their turn beside code that never does.

    A decoder needs it a moment between two images, and waited 5 ms for each while modules were imported beside it:
    reading 256 images and importing the stack took 4.0 s together, and take 3.2.
    """
    sys.setswitchinterval(2e-4)


def wait_asleep() -> None:
    """Have GNU OpenMP's threads sleep when others take long to end their part; call it before torch is imported.

    They spin for 300,000 turns otherwise, and keep the processor from the very thread that they wait for where other
    work runs on the machine. B0 with 64 images on two cores: 56 s either way on an idle machine (67 s without
    any spinning); beside two busy processes 161 s with 300,000 turns, 115 s with these. What users set holds.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        # Some tens of microseconds: longer than between two operators, shorter than a time slice of the scheduler.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
