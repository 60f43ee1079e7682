"""Convolutions of whole numbers with their gradients by hand, the requantization behind them included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from quant.qat.rows import like, long_rows, parts, repeated, scale_and_round

aten = torch.ops.aten

Geometry = tuple[Sequence[int], Sequence[int], Sequence[int], int]
"""Stride, padding, dilation, groups."""


class Convolution(torch.autograd.Function):
    """Convolution of whole numbers; its gradients may be computed in bfloat16, which holds whole numbers to 256."""

    @staticmethod
    def forward(
        ctx: Any,
        v: torch.Tensor,
        weight: torch.Tensor,
        geometry: Geometry,
        precision: torch.dtype,
    ) -> torch.Tensor:
        ctx.save_for_backward(v, weight)
        ctx.geometry, ctx.precision = geometry, precision
        return F.conv2d(v, weight, None, *geometry)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        v, weight = ctx.saved_tensors
        on_v, on_weight = _gradients(gradient, v, weight, ctx.geometry, ctx.precision)
        return on_v, on_weight, None, None


class QuantizedConvolution(torch.autograd.Function):
    """Convolution and requantization in one: nothing of the size of an activation is multiplied on the way back.

    A channel's ratio goes into the filters that the gradient is convolved with, and its own gradient follows from
    theirs: the accumulator is linear in a filter, so <weight, gradient of weight> is what a factor on it would get.
    """

    @staticmethod
    def forward(
        ctx: Any,
        v: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        ratio: torch.Tensor,
        zero: torch.Tensor,  # noqa: ARG004  (its gradient is what it is given for)
        low: int,
        high: int,
        geometry: Geometry,
        precision: torch.dtype,
    ) -> torch.Tensor:
        accumulator = F.conv2d(v, weight, bias, *geometry)
        scaled = long_rows(accumulator)
        steps = scale_and_round(scaled, repeated(ratio, scaled), low, high, scaled=scaled)
        ctx.save_for_backward(v, weight, bias, ratio)
        ctx.scaled = scaled.detach()
        ctx.limits = (low - 0.5, high + 0.5)
        ctx.geometry, ctx.precision = geometry, precision
        return like(steps, accumulator)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        v, weight, bias, ratio = ctx.saved_tensors
        rows, inside = long_rows(gradient), ctx.scaled
        per_column, given = rows.new_zeros(rows.shape[1]), rows.new_zeros(())
        for part in parts(rows):
            aten.hardtanh_backward.grad_input(rows[part], inside[part], *ctx.limits, grad_input=inside[part])
            per_column += inside[part].sum(0)
            given += rows[part].sum()
        on_shift = per_column.view(-1, len(ratio)).sum(0)
        shape = (-1, 1, 1, 1)
        on_v, on_filters = _gradients(
            like(inside, gradient), v, weight * ratio.view(shape), ctx.geometry, ctx.precision
        )
        on_ratio = (weight * on_filters).sum((1, 2, 3)) + bias * on_shift
        on_weight = on_filters * ratio.view(shape)
        return on_v, on_weight, on_shift * ratio, on_ratio, on_shift.sum() - given, None, None, None, None


def _gradients(
    gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry, precision: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients on a convolution's input and filters."""
    stride, padding, dilation, groups = geometry
    # Depthwise kernels are bound by memory, and slower with a conversion around them.
    chosen = precision if groups == 1 else gradient.dtype
    on_v, on_weight, _ = aten.convolution_backward(
        *(x.to(chosen) for x in (gradient, v, weight)),
        None, stride, padding, dilation, False, [0, 0], groups, [True, True, False],
    )  # fmt: skip
    return on_v.to(gradient.dtype), on_weight.to(gradient.dtype)
