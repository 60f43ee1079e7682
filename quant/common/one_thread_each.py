"""Work cut into parts of a fixed size, each done on one thread: the same bits on any number of them.

Torch cuts an operator's work into as many parts as it has threads, and where a part ends decides how numbers are
summed. Here the caller decides where parts end, and threads share them out.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import TypeVar

import torch

# Values that a share of an elementwise operator has at least (`at::internal::GRAIN_SIZE`).
_GRAIN = 1 << 15

VECTOR = 32
"""Values of one turn of torch's loops on any processor: two vectors of AVX-512."""

Part = TypeVar("Part")
Result = TypeVar("Result")


def one_thread_each(function: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Call a function on every part, as many at a time as torch has threads, each on one.

    Without gradients, and unseen by dispatch modes such as `thread_invariant`, which nothing in here needs.

    Args:
        function: of one part; writes nothing that another part reads.
        parts: whose number and sizes do not depend on the threads.

    Returns:
        What came of each part, in their order.
    """
    parts = list(parts)
    threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def call(part: Part) -> Result:
        # Both are of a thread: a worker does not know what the caller's are.
        with torch.inference_mode(inference), torch.no_grad():
            return function(part)

    if threads == 1 or len(parts) == 1:
        with unwatched(), on_one_thread():
            return [call(part) for part in parts]
    return list(_workers(os.getpid(), threads).map(call, parts))


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Within it torch computes on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def whole_vectors(values: int) -> bool:
    """Whether torch cuts an elementwise operator on so many values into shares of whole vectors.

    Where it does not, a share's last values come from another `exp` than the vectors', another bit here and there.
    """
    threads = min(torch.get_num_threads(), -(-values // _GRAIN))
    return threads <= 1 or -(-values // threads) % VECTOR == 0


def in_whole_vectors(values: int) -> AbstractContextManager[None]:
    """Within it an elementwise operator on so many values gives the same bits on any number of threads."""
    return nullcontext() if whole_vectors(values) else on_one_thread()


def unwatched() -> AbstractContextManager[None]:
    """Within it dispatch modes see nothing: for operators that need none, where microseconds count."""
    context: AbstractContextManager[None] = torch._C._DisableTorchDispatch()
    return context


@lru_cache(maxsize=1)
def _workers(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that compute on one thread each; idle ones cost nothing, and a forked process has none."""
    all_here = threading.Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # takes the default, which a thread's first operator would do too
        torch.set_num_threads(1)
        all_here.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="one-thread-each")
    for _ in range(threads):
        pool.submit(begin)
    all_here.wait()
    # The number is a thread's own, but it is also the default of every thread to come.
    torch.set_num_threads(threads)
    return pool
