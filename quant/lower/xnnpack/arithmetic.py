"""What XNNPACK's int8 operators compute, to the bit, on float32 tensors that hold whole numbers.

A fake-quantized float graph is not that: it rounds no bias, multiplies where the kernels shift, and one
rounding that falls the other way grows tenfold a block. These functions follow the kernels, so that a
simulation says what the .pte will say. Sums below 2**24 are exact in float32; int8 products over the fan-in of
an EfficientNet stay there. Biases need not, so they are added last: one rounding, as where the kernel makes a float
of its int32.

Source: XNNPACK `src/microparams-init.c` and the scalar reference kernels (qs8-*, fp32 requantization).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from quant.graph.compute import convolve
from quant.graph.qdq import QMAX, QMIN, Range, TensorScale

EVERY = torch.arange(QMIN, QMAX + 1, dtype=torch.float32)
"""All int8 values."""

_EXACT_BIAS = 2.0**22
"""Largest bias, in steps, that leaves three quarters of float32's whole numbers to the products."""

_INT8 = (QMIN, QMAX)


def quantize(x: torch.Tensor, scale: float, zero_point: int, grid: tuple[int, int] = _INT8) -> torch.Tensor:
    """Float to int8: multiply by the float32 reciprocal, round half to even, add the zero point, saturate."""
    return (x * _reciprocal(scale)).round_().add_(zero_point).clamp_(*grid)


def dequantize(q: torch.Tensor, scale: float, zero_point: int) -> torch.Tensor:
    """Int8 to float."""
    return (q - zero_point).mul_(scale)


def requantize(
    accumulator: torch.Tensor, scale: torch.Tensor | float, zero_point: int, limits: tuple[int, int]
) -> torch.Tensor:
    """Accumulator to int8, in place: multiply in float32, round half to even, add the zero point, clamp."""
    return accumulator.mul_(scale).round_().add_(zero_point).clamp_(*limits)


def weighted_layer(
    q: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor,
    input_zero_point: int,
    output_zero_point: int,
    limits: tuple[int, int],
    geometry: tuple[Any, ...] | None = None,
) -> torch.Tensor:
    """A convolution, or a fully connected layer, in int8.

    Args:
        q: int8 values, [N, C, H, W] or [N, in].
        weight: int8 values, [out, in / groups, h, w] or [out, in].
        bias: int32 values in accumulator units, [out].
        scale: requantization scale, [out, 1, 1] or [out].
        input_zero_point: of `q`; padding has its value.
        output_zero_point: of the result.
        limits: smallest and largest result.
        geometry: stride, padding, dilation, groups; None of a fully connected layer.
    """
    x = q - input_zero_point
    # Partial sums could not start exactly from a larger one, which is added to the whole sum.
    small = bias is None or bool(bias.abs().max() <= _EXACT_BIAS)
    first = bias if small else None
    accumulator = F.linear(x, weight, first) if geometry is None else convolve(x, weight, first, *geometry)
    if bias is not None and not small:
        accumulator.add_(bias.view_as(scale))
    return requantize(accumulator, scale, output_zero_point, limits)


def multiply(
    a: torch.Tensor, b: torch.Tensor, scale: float, a_zero: int, b_zero: int, zero: int, limits: tuple[int, int]
) -> torch.Tensor:
    """Elementwise product in int8."""
    first, second = a - a_zero, b - b_zero
    # torch.broadcast_shapes takes longer than the product of an image's pooled channels.
    fits = a.dim() == b.dim() and all(n in (1, m) for m, n in zip(a.shape, b.shape, strict=True))
    product = first.mul_(second) if fits else first * second
    return requantize(product, scale, zero, limits)


def add(
    a: torch.Tensor,
    b: torch.Tensor,
    multipliers: tuple[int, int],
    bias: int,
    shift: int,
    zero: int,
    limits: tuple[int, int],
) -> torch.Tensor:
    """Sum in int8: fixed-point multipliers, then an arithmetic shift that rounds half up."""
    accumulator = a.to(torch.int32) * multipliers[0] + b.to(torch.int32) * multipliers[1] + bias
    return (accumulator >> shift).add_(zero).clamp_(*limits).to(torch.float32)


def add_parameters(a: TensorScale, b: TensorScale, out: TensorScale) -> tuple[tuple[int, int], int, int]:
    """Multipliers, bias and shift of `add`."""
    ratios = [_float32(_float32(s.scale) / _float32(out.scale)) for s in (a, b)]
    exponent = math.frexp(max(ratios))[1] - 1
    shift = 20 - exponent
    first, second = (round(ratio * 2.0**shift) for ratio in ratios)  # round() rounds half to even, as lrintf
    bias = (1 << (shift - 1)) - first * a.zero_point - second * b.zero_point
    return (first, second), bias, shift


def pool(q: torch.Tensor, scale: float, zero_point: int, out_scale: float, out_zero: int) -> torch.Tensor:
    """Mean over height and width in int8: the plain sum, scaled and shifted in float32.

    The shift is rounded as the kernel rounds it: the zero points' sum is a whole number before it is scaled.
    """
    elements = q.shape[2] * q.shape[3]
    ratio = _float32(_float32(scale) / _float32(out_scale))
    mean_scale = _float32(ratio * _float32(1.0 / elements))
    offset = _float32(out_zero - _float32(_float32(zero_point * elements) * mean_scale))
    return (q.sum(dim=(2, 3), keepdim=True) * mean_scale + offset).round_().clamp_(QMIN, QMAX)


def table_of(function: Callable[[torch.Tensor], torch.Tensor], source: TensorScale, out: TensorScale) -> torch.Tensor:
    """A function of all int8 values, float32 [256]: the kernel looks it up, too."""
    return quantize(function(dequantize(EVERY, source.scale, source.zero_point)), out.scale, out.zero_point)


def look_up(q: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Take from a table of all int8 values, in one third of the time of `table[q]`, which wants 64-bit indices."""
    indices = q.to(torch.int32).sub_(QMIN)
    if q.dim() != 4:
        return table.index_select(0, indices.flatten()).view_as(q)
    # In the order of memory where channels lie last.
    lying = indices.permute(0, 2, 3, 1)
    return table.index_select(0, lying.reshape(-1)).view(lying.shape).permute(0, 3, 1, 2)


def logistic(x: torch.Tensor) -> torch.Tensor:
    """The float32 nearest to 1 / (1 + exp(-x)).

    torch's float32 sigmoid may be the one beside it, which is enough to turn a rounding to int8 the other way: one
    network in five had such an entry in one of its tables.
    """
    return torch.sigmoid(x.double()).float()


def clamp_limits(limits: Range | None, scale: TensorScale, grid: tuple[int, int] = _INT8) -> tuple[int, int]:
    """A fused clamp's range in int8, or on another grid."""
    if limits is None:
        return grid
    low, high = (
        bound if math.isinf(bound) else round(bound * _reciprocal(scale.scale)) + scale.zero_point for bound in limits
    )
    return int(max(grid[0], low)), int(min(grid[1], high))


def requantization_scale(source: float, weight: torch.Tensor, out: float) -> torch.Tensor:
    """Accumulator units to output units, float32, one a channel."""
    first, last = (torch.tensor(value, dtype=torch.float32) for value in (source, out))
    return (first * weight.to(torch.float32)) / last


def product_scale(a: float, b: float, out: float) -> float:
    """Scale of `multiply`, rounded as the runtime does."""
    return _float32(_float32(_float32(a) * _float32(b)) / _float32(out))


def _float32(value: float) -> float:
    return torch.tensor(value, dtype=torch.float32).item()


def _reciprocal(scale: float) -> float:
    return _float32(1.0 / _float32(scale))
