"""Let threads that have nothing to do go to sleep soon."""

from __future__ import annotations

import os

_SPINS = 10_000
"""Some tens of microseconds: longer than between two operators, shorter than a time slice of the scheduler."""


def wait_asleep() -> None:
    """Have GNU OpenMP's threads sleep when others take long to end their part; call it before torch is imported.

    They spin for 300,000 turns otherwise, and keep the processor from the very thread that they wait for where other
    work runs on the machine. B0 with 64 photographs on two cores: 56 s either way on an idle machine (67 s without
    any spinning); beside two busy processes 161 s with 300,000 turns, 115 s with these. What users set holds.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))
