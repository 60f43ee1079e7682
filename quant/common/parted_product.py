"""Products of matrices in parts of a fixed size: MKL sums a block of a result by the shape of what it is given."""

from __future__ import annotations

from collections.abc import Callable

import torch

from quant.common.one_thread_each import one_thread_each

# Multiplications below which a product is not worth parting.
_SMALL = 1 << 18

# Rows or columns of a part.
_PART = 64

Multiply = Callable[[slice, slice, torch.Tensor], object]
"""(rows of the first, columns of the second, where to write)."""


def parted_product(a: torch.Tensor, b: torch.Tensor, multiply: Multiply | None = None) -> torch.Tensor:
    """Multiply matrices, the same to the bit on any number of threads: the longer side of the result is cut.

    Args:
        a: [M, K].
        b: [K, N].
        multiply: writes a part; `torch.mm` where None.

    Returns:
        [M, N].
    """
    whole, out = slice(None), a.new_empty(len(a), b.shape[1])
    write: Multiply = multiply or (lambda rows, columns, out: torch.mm(a[rows], b[:, columns], out=out))
    longer = max(out.shape)
    size = longer if a.numel() * b.shape[1] <= _SMALL else _PART
    parts = [slice(first, first + size) for first in range(0, longer, size)]
    if len(a) == longer:
        one_thread_each(lambda part: write(part, whole, out[part]), parts)
    else:
        one_thread_each(lambda part: write(whole, part, out[:, part]), parts)
    return out
