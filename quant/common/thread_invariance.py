"""The same bits on any number of threads: operators that depend on it are called another way.

Found by running every operator of whole quantizations on 1, 2, 3 and 8 threads, and by grids of shapes (torch 2.13,
CPU):

- 1x1 convolutions: below batch 16, ATen takes oneDNN for them on several threads and a product of matrices of its own
  on one (`ConvParams::use_mkldnn`), and the two sum in other orders. oneDNN sums an output within one thread.
- products of matrices: MKL sums a block of the result by its size, and cuts the result by threads.
- sums and means of a whole tensor, batch statistics, factorizations: cut into as many parts as there are threads.
- SiLU and sigmoid: where a thread's share is no whole number of vectors, its last values come from another `exp`.
- gradients of filters: `quant.qat.filter_gradients`.

Everything else gives the same bits already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from quant.common.one_thread_each import VECTOR, on_one_thread, whole_vectors
from quant.common.parted_product import parted_product

aten = torch.ops.aten

# A kernel of 1x1 reads the same whatever its dilation; but dilated ones ATen gives to oneDNN on one thread too.
_DILATION = [2, 2]

# Elements of a single picture up to which ATen never takes oneDNN.
_SMALL_INPUT = 20480


@contextmanager
def thread_invariant() -> Iterator[None]:
    """Within it, and within what it decorates, what torch computes on the CPU does not depend on its threads.

    Forward passes and gradients of activations, that is. Each call of an operator takes some microseconds more.
    """
    with _ThreadInvariance():
        yield


class _ThreadInvariance(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _WAYS.get(func, _as_it_is)(func, *args, **(kwargs or {}))


def _as_it_is(operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return operator(*args, **kwargs)


def _alone(operator: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with on_one_thread():
        return operator(*args, **kwargs)


def _mm(operator: Callable[..., Any], a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return parted_product(a, b)


def _addmm(
    operator: Callable[..., Any], bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, **factors: Any
) -> torch.Tensor:
    bias = bias.expand(len(a), b.shape[1])
    return parted_product(
        a, b, lambda rows, columns, out: torch.addmm(bias[rows, columns], a[rows], b[:, columns], out=out, **factors)
    )


def _elementwise(
    operator: Callable[..., Any], *args: torch.Tensor, write: Callable[..., Any], in_place: bool = False
) -> Any:
    """Call an operator of tensors of one shape on whole vectors and on the rest; `write` is told where to."""
    x = args[0]
    threads, values = torch.get_num_threads(), x.numel()
    dense = all(_dense(arg) and arg.stride() == x.stride() for arg in args)
    if dense and whole_vectors(values):
        return operator(*args)
    most = values - values % (VECTOR * threads)
    if not dense or not whole_vectors(most):
        return _alone(operator, *args)
    out = x if in_place else torch.empty_like(x)
    *flat, flat_out = (tensor.as_strided((values,), (1,)) for tensor in (*args, out))
    for part in (slice(most), slice(most, values)):
        write(*(tensor[part] for tensor in flat), out=flat_out[part])
    return out


def _silu_backward(gradient: torch.Tensor, x: torch.Tensor, *, out: torch.Tensor) -> None:
    aten.silu_backward.grad_input(gradient, x, grad_input=out)


def _dense(x: torch.Tensor) -> bool:
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


def _convolution(operator: Callable[..., Any], *args: Any, source: int) -> Any:
    """Call a convolution or its gradient; `source` is where its arguments have the input, before the weight."""
    x, weight, dilation = args[source], args[source + 1], source + 5
    if tuple(weight.shape[2:]) == (1, 1):
        args = (*args[:dilation], _DILATION, *args[dilation + 1 :])
    return (_alone if len(x) == 1 and x.numel() <= _SMALL_INPUT else _as_it_is)(operator, *args)


_WAYS: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: partial(_convolution, source=0),
    aten.convolution_backward.default: partial(_convolution, source=1),
    aten.mm.default: _mm,
    aten.addmm.default: _addmm,
    aten.silu.default: partial(_elementwise, write=aten.silu.out),
    aten.silu_.default: partial(_elementwise, write=aten.silu.out, in_place=True),
    aten.sigmoid.default: partial(_elementwise, write=aten.sigmoid.out),
    aten.sigmoid_.default: partial(_elementwise, write=aten.sigmoid.out, in_place=True),
    aten.silu_backward.default: partial(_elementwise, write=_silu_backward),
    **dict.fromkeys(
        (
            aten.dot.default,
            aten.mean.default,
            aten.sum.default,
            aten.native_batch_norm.default,
            aten.native_batch_norm_backward.default,
            aten.linalg_cholesky_ex.default,
            aten.linalg_solve_triangular.default,
        ),
        _alone,
    ),
}
"""Operator -> what is called for it, with the operator itself first."""
