"""Tensors as long rows in memory order, cut into pieces that fit the cache: what makes elementwise kernels fast."""

from __future__ import annotations

import math

import torch

_CACHED = 2**18
"""Numbers of a piece."""

_ROW = 4096
"""Numbers that a row should have."""


def long_rows(x: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] or [N, C] -> [N * H * W / k, k * C] in memory order: long rows, which one loop runs over."""
    if x.dim() == 2:
        return x.contiguous()
    pixels = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    together = math.gcd(pixels.numel() // x.shape[1], 2 ** int(math.log2(max(1, _ROW / x.shape[1]))))
    return pixels.reshape(-1, together * x.shape[1])


def repeated(ratio: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """One factor for each number of a row, or one for all."""
    return ratio if ratio.dim() == 0 else ratio.repeat(rows.shape[1] // len(ratio))


def like(rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Back from `long_rows`."""
    if x.dim() == 2:
        return rows
    n, c, h, w = x.shape
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)


def parts(rows: torch.Tensor) -> list[slice]:
    """Cut into pieces that stay in the cache over all the operations on them: twice as fast as whole tensors."""
    count = max(1, _CACHED // rows.shape[1])
    return [slice(first, first + count) for first in range(0, rows.shape[0], count)]


def scale_and_round(
    rows: torch.Tensor, factor: torch.Tensor, low: int, high: int, *, scaled: torch.Tensor
) -> torch.Tensor:
    """Multiply, into `scaled`, which may be `rows` itself; round half to even and saturate, into new memory."""
    steps = torch.empty_like(rows)
    for part in parts(rows):
        torch.mul(rows[part], factor, out=scaled[part])
        torch.round(scaled[part], out=steps[part]).clamp_(low, high)
    return steps
