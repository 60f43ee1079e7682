"""Which process of a run this one is, from the environment that torchrun gives it: needs no torch."""

from __future__ import annotations

import os


def is_alone() -> bool:
    """Whether torchrun started no other process beside this one."""
    return int(os.environ.get("WORLD_SIZE", "1")) == 1


def is_leader() -> bool:
    """Whether this process, among those that torchrun started, is the one that prints and writes."""
    return int(os.environ.get("RANK", "0")) == 0
