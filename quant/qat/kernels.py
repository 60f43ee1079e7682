"""The int8 arithmetic that autograd cannot derive by itself: forward as the program's, backward by hand.

Gradients are written over what was kept for them, since memory touched for the first time costs more than the
arithmetic; so a graph can be walked back once.

Tensors hold whole numbers in float32. Where a gradient is the gradient of a rounding, it is passed straight through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from quant.graph.qdq import QMAX, QMIN
from quant.lower.xnnpack.arithmetic import logistic
from quant.qat.rows import like, long_rows, parts, repeated, scale_and_round

aten = torch.ops.aten

SIGMOID_STEPS = 256
"""XNNPACK's int8 sigmoid writes steps of 1/256 above a zero point of -128."""


class Requantize(torch.autograd.Function):
    """Accumulator -> int8 steps: multiply, round half to even, saturate."""

    @staticmethod
    def forward(
        ctx: Any,
        accumulator: torch.Tensor,
        ratio: torch.Tensor,
        zero: torch.Tensor,  # noqa: ARG004  (its gradient is what it is given for)
        low: int,
        high: int,
        consumed: bool,
    ) -> torch.Tensor:
        rows = long_rows(accumulator)
        scaled = rows if consumed else torch.empty_like(rows)
        steps = scale_and_round(rows, repeated(ratio, rows), low, high, scaled=scaled)
        ctx.save_for_backward(ratio)
        # Neither input nor output, though it may lie in an input's memory: autograd need not watch it.
        ctx.scaled = scaled.detach()
        ctx.limits = (low - 0.5, high + 0.5)
        return like(steps, accumulator)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (ratio,), scaled = ctx.saved_tensors, ctx.scaled
        rows = long_rows(gradient)
        factor = repeated(ratio, rows)
        on_scaled, on_zero = torch.zeros_like(factor), rows.new_zeros(())
        for part in parts(rows):
            inside = _inside(rows[part], scaled[part], ctx.limits)
            # Saturated at -128 or 127, a tensor moves against its zero point; elsewhere the zero point cancels.
            on_zero += inside.sum() - rows[part].sum()
            on_scaled += _dot(inside, scaled[part]) if factor.dim() == 0 else (inside * scaled[part]).sum(0)
            torch.mul(inside, factor, out=scaled[part])
        # scaled / ratio is the accumulator, which then need not be kept.
        on_ratio = on_scaled.view(-1, *ratio.shape).sum(0) / ratio
        return like(scaled, gradient), on_ratio, on_zero, None, None, None


class SiLU(torch.autograd.Function):
    """`x * sigmoid(x)` in int8: sigmoid's table, then the product; the gradient is the float function's."""

    @staticmethod
    def forward(
        ctx: Any,
        v: torch.Tensor,
        scale: torch.Tensor,
        out_scale: torch.Tensor,
        zero: torch.Tensor,  # noqa: ARG004  (its gradient is what it is given for)
        low: int,
        high: int,
    ) -> torch.Tensor:
        rows = long_rows(v)
        steps = torch.empty_like(rows)
        corrections = gate_corrections(scale)
        factor = scale * (1.0 / SIGMOID_STEPS) / out_scale
        for part in parts(rows):
            gate = gate_steps(rows[part], scale, corrections, out=steps[part])
            gate.mul_(rows[part]).mul_(factor).round_().clamp_(low, high)
        ctx.save_for_backward(v, scale, out_scale)
        ctx.limits = (low - 0.5, high + 0.5)
        return like(steps, v)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        v, scale, out_scale = ctx.saved_tensors
        rows, steps = long_rows(gradient), long_rows(v)
        factor, limits = scale / out_scale, [limit * out_scale.item() for limit in ctx.limits]
        on_scale, on_out, on_zero = (rows.new_zeros(()) for _ in range(3))
        for part in parts(rows):
            # Computed again rather than kept: it is a third of the memory, and in the cache.
            x = steps[part] * scale
            real = F.silu(x)
            inside = _inside(rows[part], real, limits)
            on_zero += inside.sum() - rows[part].sum()
            on_out -= _dot(inside, real)
            on_x = aten.silu_backward.grad_input(inside, x, grad_input=real)
            on_scale += _dot(on_x, steps[part])
            torch.mul(on_x, factor, out=rows[part])
        return like(rows, gradient), on_scale / out_scale, on_out / out_scale**2, on_zero, None, None


class ScaledGradient(torch.autograd.Function):
    """The identity, with a factor on its gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.factor, None


class Rounded(torch.autograd.Function):
    """Round and clamp; the gradient passes where nothing was clamped."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        rounded = x.round()
        ctx.save_for_backward((rounded >= low) & (rounded <= high))
        return rounded.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None


class FixedPointSum(torch.autograd.Function):
    """Fixed-point sum of two int8 tensors, as XNNPACK's addition; gradients are those of the plain sum."""

    @staticmethod
    def forward(
        ctx: Any, a: torch.Tensor, b: torch.Tensor, first: torch.Tensor, second: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(a, b, first, second)
        shift = 20 - (math.frexp(max(first.item(), second.item()))[1] - 1)
        m, n = (round(ratio.item() * 2.0**shift) for ratio in (first, second))
        total = a.to(torch.int32).mul_(m).add_(b.to(torch.int32).mul_(n)).add_(1 << (shift - 1))
        return (total >> shift).to(torch.float32)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b, first, second = ctx.saved_tensors
        rows = long_rows(gradient)
        return gradient * first, gradient * second, _dot(rows, long_rows(a)), _dot(rows, long_rows(b))


class Gate(torch.autograd.Function):
    """Product of an activation and its squeeze-excite gate, requantized."""

    @staticmethod
    def forward(
        ctx: Any,
        v: torch.Tensor,
        gate: torch.Tensor,
        ratio: torch.Tensor,
        zero: torch.Tensor,  # noqa: ARG004  (its gradient is what it is given for)
        low: int,
        high: int,
    ) -> torch.Tensor:
        pixels, gates = _pixels(v), gate.flatten(1)
        scaled, steps = torch.empty_like(pixels), torch.empty_like(pixels)
        for row in range(len(pixels)):
            # The product first, as the kernel has it: whole numbers, exact.
            torch.mul(pixels[row], gates[row], out=scaled[row]).mul_(ratio)
            torch.round(scaled[row], out=steps[row]).clamp_(low, high)
        ctx.save_for_backward(v, gate, ratio)
        ctx.scaled = scaled.detach()
        ctx.limits = (low - 0.5, high + 0.5)
        return like(steps, v)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        v, gate, ratio = ctx.saved_tensors
        pixels, rows, gates = _pixels(v), _pixels(gradient), gate.flatten(1)
        on_v, on_gate = ctx.scaled, torch.empty_like(gates)
        factors, on_zero = gates * ratio, rows.new_zeros(())
        for row in range(len(rows)):
            inside = _inside(rows[row], on_v[row], ctx.limits)
            on_zero += inside.sum() - rows[row].sum()
            torch.mul(inside, factors[row], out=on_v[row])
            on_gate[row] = inside.mul_(pixels[row]).sum(0)
        on_ratio = (on_gate * gates).sum()
        return like(on_v, v), (on_gate * ratio).view_as(gate), on_ratio, on_zero, None, None


def _pixels(x: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] -> [N, H * W, C], a view where the memory is channels-last."""
    last = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    return last.reshape(len(x), -1, x.shape[1])


Corrections = list[tuple[float, float]]
"""Whole numbers of which a fast sigmoid may round to another step than the program's table has, and that step."""


def gate_steps(
    v: torch.Tensor, scale: torch.Tensor, corrections: Corrections, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Sigmoid of `v * scale` in steps of 1/256, as the program's table has it."""
    steps = torch.mul(v, scale, out=out).sigmoid_().mul_(SIGMOID_STEPS).round_().clamp_(max=SIGMOID_STEPS - 1)
    for value, exact in corrections:
        steps.masked_fill_(v == value, exact)
    return steps


def gate_corrections(scale: torch.Tensor) -> Corrections:
    """What `gate_steps` has to correct at a scale; mostly nothing."""
    # One more than there are: a whole number of vectors.
    v = torch.arange(QMIN - QMAX, QMAX - QMIN + 2, dtype=torch.float32, device=scale.device)
    x = v * scale
    # Where numbers are no whole vector, at the end of a thread's share, torch computes them one by one.
    found = logistic(x), torch.sigmoid(x), torch.sigmoid(x.repeat_interleave(2)[::2])
    exact, vectors, single = ((s * SIGMOID_STEPS).round().clamp(max=SIGMOID_STEPS - 1) for s in found)
    places = ((vectors != exact) | (single != exact)).nonzero().flatten()
    return list(zip(v[places].tolist(), exact[places].tolist(), strict=True))


def _inside(gradient: torch.Tensor, scaled: torch.Tensor, limits: Sequence[float]) -> torch.Tensor:
    """The gradient where nothing saturated, zero elsewhere."""
    kept: torch.Tensor = aten.hardtanh_backward(gradient, scaled, *limits)
    return kept


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))
