"""Rounding passed straight through: forward as the program computes, backward as if nothing had been rounded.

Tensors hold whole numbers in float32. Only what every activation of the network goes through has a backward of its
own, since each pass over an activation counts: requantization, convolution, SiLU and product. All else is autograd's.
Zero points are given to `forward` for their gradients alone, and so is a convolution's shift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from quant.graph.qdq import QMAX, QMIN
from quant.lower.xnnpack.arithmetic import logistic

aten = torch.ops.aten

Geometry = tuple[Sequence[int], Sequence[int], Sequence[int], int]
"""Stride, padding, dilation, groups."""

SIGMOID_STEPS = 256
"""XNNPACK's int8 sigmoid writes steps of 1/256 above a zero point of -128."""

_CACHED = 2**18
"""Numbers of a piece that stays in the cache over all operations on it."""


class Exact(torch.autograd.Function):
    """The value of `exact` with the gradient of `smooth`."""

    @staticmethod
    def forward(ctx: Any, smooth: Tensor, exact: Tensor) -> Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def exactly(smooth: Tensor, exact: Tensor) -> Tensor:
    """The value of `exact` with the gradient of `smooth`."""
    value: Tensor = Exact.apply(smooth, exact.detach())
    return value


def rounded(x: Tensor, low: float, high: float) -> Tensor:
    """Round and clamp; the gradient passes where nothing was clamped."""
    return exactly(x.clamp(low - 0.5, high + 0.5), x.round().clamp(low, high))


class Requantize(torch.autograd.Function):
    """Scaled accumulator -> int8 steps: round half to even, saturate."""

    @staticmethod
    def forward(ctx: Any, scaled: Tensor, zero: Tensor, limits: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(scaled)
        ctx.limits = (limits[0] - 0.5, limits[1] + 0.5)
        return scaled.round().clamp_(*limits)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inside = aten.hardtanh_backward(gradient, ctx.saved_tensors[0], *ctx.limits)
        # Saturated at -128 or 127, a tensor moves against its zero point; elsewhere the zero point cancels.
        return inside, inside.sum() - gradient.sum(), None


class QuantizedConvolution(torch.autograd.Function):
    """Convolution and requantization: whole numbers forward, one convolution with real filters backward.

    What is differentiated is `convolution(v, filters, shift)`, with each channel's ratio in its filter: autograd
    takes it apart there, and nothing of the size of an activation is multiplied on the way back. That way can be
    gone once: the accumulator's memory is used. Gradients may be computed in bfloat16, which holds whole numbers to
    256.
    """

    @staticmethod
    def forward(
        ctx: Any,
        v: Tensor,
        filters: Tensor,
        shift: Tensor,
        zero: Tensor,
        whole: tuple[Tensor, Tensor | None, Tensor],
        limits: tuple[int, int],
        geometry: Geometry,
        precision: torch.dtype,
    ) -> Tensor:
        weight, bias, ratio = whole
        scaled = F.conv2d(v, weight, bias, *geometry)
        steps = torch.empty_like(scaled)
        for part, out in pieces(scaled, steps):
            torch.round(part.mul_(ratio.view(-1, 1, 1)), out=out).clamp_(*limits)
        ctx.save_for_backward(v, filters)
        ctx.scaled, ctx.limits = scaled, (limits[0] - 0.5, limits[1] + 0.5)
        ctx.geometry, ctx.precision = geometry, precision
        return steps

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        v, filters = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        # Depthwise kernels are bound by memory, and slower with a conversion around them.
        chosen = ctx.precision if groups == 1 else gradient.dtype
        inside = ctx.scaled if chosen == gradient.dtype else torch.empty_like(gradient, dtype=chosen)
        on_shift, on_output = filters.new_zeros(len(filters)), gradient.new_zeros(())
        for given, part, out in pieces(gradient, ctx.scaled, inside):
            masked = aten.hardtanh_backward.grad_input(given, part, *ctx.limits, grad_input=part)
            on_shift += masked.sum((0, 2, 3))
            on_output += given.sum()
            if out is not part:
                out.copy_(masked)
        on_v, on_filters, _ = aten.convolution_backward(
            inside, v.to(chosen), filters.to(chosen),
            None, stride, padding, dilation, False, [0, 0], groups, [True, True, False],
        )  # fmt: skip
        return on_v.to(v.dtype), on_filters.to(v.dtype), on_shift, on_shift.sum() - on_output, None, None, None, None


class SiLU(torch.autograd.Function):
    """`x * sigmoid(x)` in int8: sigmoid's table, then the product; the gradient is the float function's."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, scale: Tensor, out_scale: Tensor, zero: Tensor, limits: tuple[int, int]
    ) -> Tensor:
        steps, corrections = torch.empty_like(v), gate_corrections(scale)
        factor = scale * (1.0 / SIGMOID_STEPS) / out_scale
        for part, out in pieces(v, steps):
            gate = gate_steps(part, scale, corrections, out=out)
            gate.mul_(part).mul_(factor).round_().clamp_(*limits)
        ctx.save_for_backward(v, scale, out_scale)
        ctx.limits = (limits[0] - 0.5, limits[1] + 0.5)
        return steps

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        v, scale, out_scale = ctx.saved_tensors
        limits = [limit * out_scale.item() for limit in ctx.limits]
        on_v = torch.empty_like(v)
        on_scale, on_out, on_zero = (v.new_zeros(()) for _ in range(3))
        for part, given, out in pieces(v, gradient, on_v):
            # Computed again rather than kept: it is a third of the memory, and in the cache.
            x = part * scale
            real = F.silu(x)
            inside = aten.hardtanh_backward(given, real, *limits)
            on_zero += inside.sum() - given.sum()
            on_out -= (inside * real).sum()
            on_x = aten.silu_backward.grad_input(inside, x, grad_input=real)
            on_scale += (on_x * part).sum()
            torch.mul(on_x, scale / out_scale, out=out)
        return on_v, on_scale / out_scale, on_out / out_scale**2, on_zero, None


class Product(torch.autograd.Function):
    """Elementwise product in int8; the second factor may be a gate, [N, C, 1, 1]."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, factor: Tensor, zero: Tensor, limits: tuple[int, int]) -> Tensor:
        steps = torch.empty_like(a)
        for part, gate, out in pieces(a, b, steps):
            torch.mul(part, gate, out=out).mul_(factor).round_().clamp_(*limits)
        ctx.save_for_backward(a, b, factor)
        ctx.limits = (limits[0] - 0.5, limits[1] + 0.5)
        return steps

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        a, b, factor = ctx.saved_tensors
        on_a, shared, on_zero = torch.empty_like(a), torch.empty_like(b), a.new_zeros(())
        for part, gate, given, out, share in pieces(a, b, gradient, on_a, shared):
            inside = aten.hardtanh_backward(given, torch.mul(part, gate, out=out).mul_(factor), *ctx.limits)
            on_zero += inside.sum() - given.sum()
            torch.mul(inside, gate * factor, out=out)
            share.copy_(inside.mul_(part).sum_to_size(gate.shape))
        return on_a, shared * factor, (shared * b).sum(), on_zero, None


def pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors of one shape in groups of images that stay in the cache over all the operations on them."""
    images = max(1, _CACHED // max(1, tensors[0][0].numel()))
    return zip(*(x.split(images) for x in tensors), strict=True)


Corrections = list[tuple[float, float]]
"""Whole numbers of which a fast sigmoid may round to another step than the program's table has, and that step."""


def gate_steps(v: Tensor, scale: Tensor, corrections: Corrections, *, out: Tensor | None = None) -> Tensor:
    """Sigmoid of `v * scale` in steps of 1/256, as the program's table has it."""
    steps = torch.mul(v, scale, out=out).sigmoid_().mul_(SIGMOID_STEPS).round_().clamp_(max=SIGMOID_STEPS - 1)
    for value, exact in corrections:
        steps.masked_fill_(v == value, exact)
    return steps


def gate_corrections(scale: Tensor) -> Corrections:
    """What `gate_steps` has to correct at a scale; mostly nothing."""
    # One more than there are: a whole number of vectors.
    v = torch.arange(QMIN - QMAX, QMAX - QMIN + 2, dtype=torch.float32, device=scale.device)
    x = v * scale
    # Where numbers are no whole vector, at the end of a thread's share, torch computes them one by one.
    found = logistic(x), torch.sigmoid(x), torch.sigmoid(x.repeat_interleave(2)[::2])
    exact, vectors, single = ((s * SIGMOID_STEPS).round().clamp(max=SIGMOID_STEPS - 1) for s in found)
    places = ((vectors != exact) | (single != exact)).nonzero().flatten()
    return list(zip(v[places].tolist(), exact[places].tolist(), strict=True))
