"""A call in two forks of this process, as torchrun starts two: launched, each would import torch for ten seconds.

`tests/e2e/test_train_ddp.py` has them started by torchrun itself.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import warnings
from collections.abc import Callable

_TIMEOUT_S = 300


def in_two(call: Callable[[int], object]) -> None:
    """Call it with rank 0 and with rank 1, at the same time; a failure of either is one here."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_as_rank, args=(rank, port, call)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(_TIMEOUT_S)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]


def _as_rank(rank: int, port: int, call: Callable[[int], object]) -> None:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ.update({name: str(value) for name, value in {**place, "RANK": rank, "LOCAL_RANK": rank}.items()})
    warnings.resetwarnings()  # nothing of pytest's: PyTorch's own are no failures
    call(rank)
