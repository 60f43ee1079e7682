"""The same bits on any number of threads: operators whose order of summing depends on it are called another way.

Found by running every operator of a whole quantization on 1, 2, 3, 4 and 8 threads (torch 2.13, CPU):

- 1x1 convolutions: below batch 16, ATen takes oneDNN for them on several threads and a product of matrices of its own
  on one (`ConvParams::use_mkldnn`), and the two sum in other orders. oneDNN sums an output within one thread.
- sums and means of a whole tensor, factorizations, very small products: cut into as many parts as there are threads.

Everything else gives the same bits already, but for gradients of weights, which are left as they are: oneDNN sums
them in as many parts as threads, so training repeats on the same number of threads only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

# A kernel of 1x1 reads the same whatever its dilation; but dilated ones ATen gives to oneDNN on one thread too.
_DILATION = [2, 2]

# Elements of a single picture up to which ATen never takes oneDNN.
_SMALL_INPUT = 20480

# Multiplications up to which MKL splits a product along its sum; larger ones it splits by rows and columns.
_SMALL_PRODUCT = 1 << 18


@contextmanager
def thread_invariant() -> Iterator[None]:
    """Within it, and within what it decorates, what torch computes on the CPU does not depend on its threads.

    Forward passes and gradients of activations, that is. Each call of an operator takes some microseconds more.
    """
    with _ThreadInvariance():
        yield


def unwatched() -> AbstractContextManager[None]:
    """Within it, `thread_invariant` does nothing: for operators that need it not, where its microseconds count."""
    context: AbstractContextManager[None] = torch._C._DisableTorchDispatch()
    return context


class _ThreadInvariance(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _WAYS.get(func, _as_it_is)(func, *args, **(kwargs or {}))


def _as_it_is(operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return operator(*args, **kwargs)


def _alone(operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return operator(*args, **kwargs)
    finally:
        torch.set_num_threads(threads)


def _product(operator: Callable[..., Any], a: torch.Tensor, b: torch.Tensor) -> Any:
    return (_alone if a.numel() * b.shape[1] <= _SMALL_PRODUCT else _as_it_is)(operator, a, b)


def _convolution(operator: Callable[..., Any], *args: Any, source: int) -> Any:
    """Call a convolution or its gradient; `source` is where its arguments have the input, before the weight."""
    x, weight, dilation = args[source], args[source + 1], source + 5
    if tuple(weight.shape[2:]) == (1, 1):
        args = (*args[:dilation], _DILATION, *args[dilation + 1 :])
    return (_alone if len(x) == 1 and x.numel() <= _SMALL_INPUT else _as_it_is)(operator, *args)


_WAYS: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: partial(_convolution, source=0),
    aten.convolution_backward.default: partial(_convolution, source=1),
    aten.mm.default: _product,
    aten.mean.default: _alone,
    aten.sum.default: _alone,
    aten.linalg_cholesky_ex.default: _alone,
    aten.linalg_solve_triangular.default: _alone,
}
