"""Which process of a run this one is, from the environment that torchrun gives it: needs no torch."""

from __future__ import annotations

import os

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

_TOGETHER = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What processes need to find each other."""

_MOST_DIGITS = 9


def is_alone() -> bool:
    """Whether torchrun started no other process beside this one.

    Raises:
        InputError: `WORLD_SIZE` is no number of processes.
    """
    return environment_number("WORLD_SIZE", default=1, least=1) == 1


def is_leader() -> bool:
    """Whether this process, among those that torchrun started, is the one that prints and writes.

    Raises:
        InputError: `WORLD_SIZE` or `RANK` is no such number.
    """
    return is_alone() or environment_number("RANK", default=0, least=0) == 0


def require_torchrun() -> None:
    """Make sure that the processes of a run can find each other.

    Raises:
        InputError: the environment lacks something that torchrun sets, or it does not fit.
    """
    if missing := [name for name in _TOGETHER if not os.environ.get(name)]:
        raise InputError(
            f"WORLD_SIZE is {os.environ.get('WORLD_SIZE')}, but {', '.join(missing)} not set: start the processes "
            "with torchrun, or unset WORLD_SIZE to run in one."
        )
    rank, world = (environment_number(name, default=0, least=0) for name in ("RANK", "WORLD_SIZE"))
    if rank >= world:
        raise InputError(
            f"RANK is {rank} among WORLD_SIZE {world} processes: start them with torchrun, or unset both."
        )


def environment_number(name: str, *, default: int, least: int) -> int:
    """Read a whole number from the environment.

    Raises:
        InputError: something else, or a number below `least`.
    """
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) >= least):
        raise InputError(
            f"the environment variable {name} is {brief(repr(text))}, not a whole number of at least {least}; "
            "torchrun sets it: unset it to run in one process."
        )
    return int(text)
