"""XNNPACK's int8 operators with gradients: forward to the bit what `quant.xnnpack_arithmetic` computes.

A quantized tensor is carried as `v = q - zero_point`: whole numbers in float32, `real = scale * v`. Scales and zero
points are tensors of their own that enter where the kernels use them, so that the chain rule through rounding
(passed straight through) and saturation gives the gradients of learned step sizes and offsets by itself.

Sources: Esser et al., "Learned Step Size Quantization" (2020), eq. 3; Bhalgat et al., "LSQ+" (2020), eq. 4-6.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F

from quant.qdq import QMAX, QMIN, Range

aten = torch.ops.aten

_SIGMOID_STEPS = 256
"""XNNPACK's int8 sigmoid writes steps of 1/256 above a zero point of -128."""

_CACHED = 2**18
"""Numbers of a piece."""

_ROW = 4096
"""Numbers that a row should have."""

# Every parameter is learned in int8 steps, so that one learning rate suits all of them, whatever a folded BatchNorm
# made of a channel's weights: a weight or bias in its own steps, a zero point in steps, and a step size by what
# it moves the end of the range.
_STEPS_OF_SCALE = 127.0

Limits = tuple[float, float]
"""Smallest and largest real value of a fused clamp; infinite where there is none."""

NO_LIMITS: Range = (-math.inf, math.inf)


class _Requantize(torch.autograd.Function):
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
        rows = _rows(accumulator)
        scaled = rows if consumed else torch.empty_like(rows)
        steps = torch.empty_like(rows)
        factor = _repeated(ratio, rows)
        for part in _parts(rows):
            torch.mul(rows[part], factor, out=scaled[part])
            torch.round(scaled[part], out=steps[part]).clamp_(low, high)
        ctx.save_for_backward(ratio)
        # Neither input nor output, though it may lie in an input's memory: autograd need not watch it.
        ctx.scaled = scaled.detach()
        ctx.limits = (low - 0.5, high + 0.5)
        return _like(steps, accumulator)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (ratio,), scaled = ctx.saved_tensors, ctx.scaled
        rows = _rows(gradient)
        passed = torch.empty_like(rows)
        factor = _repeated(ratio, rows)
        on_scaled, on_zero = torch.zeros_like(factor), rows.new_zeros(())
        for part in _parts(rows):
            inside = _inside(rows[part], scaled[part], ctx.limits)
            # Saturated at -128 or 127, a tensor moves against its zero point; elsewhere the zero point cancels.
            on_zero += inside.sum() - rows[part].sum()
            on_scaled += _dot(inside, scaled[part]) if factor.dim() == 0 else (inside * scaled[part]).sum(0)
            torch.mul(inside, factor, out=passed[part])
        # scaled / ratio is the accumulator, which then need not be kept.
        on_ratio = on_scaled.view(-1, *ratio.shape).sum(0) / ratio
        return _like(passed, gradient), on_ratio, on_zero, None, None, None


class _SiLU(torch.autograd.Function):
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
        rows = _rows(v)
        steps = torch.empty_like(rows)
        for part in _parts(rows):
            _silu_scaled(rows[part], scale, out_scale, out=steps[part]).round_().clamp_(low, high)
        ctx.save_for_backward(v, scale, out_scale)
        ctx.limits = (low - 0.5, high + 0.5)
        return _like(steps, v)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        v, scale, out_scale = ctx.saved_tensors
        rows, steps = _rows(gradient), _rows(v)
        passed = torch.empty_like(rows)
        on_scale, on_out, on_zero = (rows.new_zeros(()) for _ in range(3))
        factor = scale / out_scale
        for part in _parts(rows):
            # Computed again rather than kept: it is a third of the memory, and in the cache.
            scaled = _silu_scaled(steps[part], scale, out_scale, out=passed[part])
            inside = _inside(rows[part], scaled, ctx.limits)
            on_zero += inside.sum() - rows[part].sum()
            on_out -= _dot(inside, scaled)
            on_real = aten.silu_backward(inside, steps[part] * scale)
            on_scale += _dot(on_real, steps[part])
            torch.mul(on_real, factor, out=passed[part])
        return _like(passed, gradient), on_scale / out_scale, on_out / out_scale, on_zero, None, None


class _ScaledGradient(torch.autograd.Function):
    """The identity, with a factor on its gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.factor, None


class _Rounded(torch.autograd.Function):
    """Round and clamp; the gradient passes where nothing was clamped."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        rounded = x.round()
        ctx.save_for_backward((rounded >= low) & (rounded <= high))
        return rounded.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None


class _Step(torch.autograd.Function):
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
        return gradient * first, gradient * second, _dot(gradient, a), _dot(gradient, b)


def scale_of(log_scale: torch.Tensor, start: torch.Tensor, factor: float) -> torch.Tensor:
    """A learned step size, `start * exp(log_scale / 127)`: positive whatever is learned.

    Args:
        log_scale: the parameter, 0 at the start.
        start: scale that calibration found.
        factor: of the gradient; LSQ's 1 / sqrt(values * 127) for activations, so that a scale that many values
            share does not outrun the weights.
    """
    learned: torch.Tensor = _ScaledGradient.apply(log_scale, factor)
    return start * (learned / _STEPS_OF_SCALE).exp()


def zero_point_of(offset: torch.Tensor, start: torch.Tensor, factor: float) -> torch.Tensor:
    """A learned zero point, rounded to the int8 value that the program has; arguments as `scale_of`."""
    learned: torch.Tensor = _ScaledGradient.apply(offset, factor)
    rounded: torch.Tensor = _Rounded.apply(start + learned, float(QMIN), float(QMAX))
    return rounded


def quantize(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    """Float -> int8 steps."""
    return requantize(x, 1.0 / scale, scale, zero, NO_LIMITS)


def dequantize(v: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Int8 steps -> float."""
    return v * scale


def requantize(
    accumulator: torch.Tensor, ratio: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, limits: Limits
) -> torch.Tensor:
    """Multiply by `ratio` ([channels] or one), round and saturate to a tensor of the given scale and zero point."""
    low, high = _bounds(limits, scale, zero)
    steps: torch.Tensor = _Requantize.apply(accumulator, ratio, zero, low, high, False)
    return steps


def _requantize_consumed(
    accumulator: torch.Tensor, ratio: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, limits: Limits
) -> torch.Tensor:
    """`requantize` in the memory of an accumulator that nothing else reads."""
    low, high = _bounds(limits, scale, zero)
    steps: torch.Tensor = _Requantize.apply(accumulator, ratio, zero, low, high, True)
    return steps


def convolve(
    v: torch.Tensor,
    source: torch.Tensor,
    weight: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor,
    zero: torch.Tensor,
    limits: Limits,
    geometry: tuple[Any, ...],
) -> torch.Tensor:
    """A convolution in int8.

    Args:
        v: input in steps, [N, C, H, W].
        source: its scale.
        weight: whole numbers -127..127, [out, in / groups, h, w].
        weight_scale: [out].
        bias: float, [out].
        scale: of the output.
        zero: zero point of the output.
        limits: of a fused clamp.
        geometry: stride, padding, dilation, groups.
    """
    accumulator = F.conv2d(v, weight, _bias_steps(bias, source, weight_scale), *geometry)
    return _requantize_consumed(accumulator, source * weight_scale / scale, scale, zero, limits)


def multiply_matrix(
    v: torch.Tensor,
    source: torch.Tensor,
    weight: torch.Tensor,
    weight_scale: torch.Tensor,
    bias: torch.Tensor | None,
    scale: torch.Tensor,
    zero: torch.Tensor,
    limits: Limits,
) -> torch.Tensor:
    """A fully connected layer in int8; arguments as `convolve`."""
    accumulator = F.linear(v, weight, _bias_steps(bias, source, weight_scale))
    return _requantize_consumed(accumulator, source * weight_scale / scale, scale, zero, limits)


def silu(
    v: torch.Tensor, source: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, limits: Limits
) -> torch.Tensor:
    """Sigmoid and product as the two int8 operators that XNNPACK runs."""
    low, high = _bounds(limits, scale, zero)
    steps: torch.Tensor = _SiLU.apply(v, source, scale, zero, low, high)
    return steps


def sigmoid(v: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Logistic function, in steps of 1/256."""
    rounded: torch.Tensor = _Rounded.apply(torch.sigmoid(v * source) * _SIGMOID_STEPS, 0.0, _SIGMOID_STEPS - 1.0)
    return rounded


def multiply(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor,
    limits: Limits,
) -> torch.Tensor:
    """Elementwise product."""
    return _requantize_consumed(a * b, a_scale * b_scale / scale, scale, zero, limits)


def add(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor,
    limits: Limits,
) -> torch.Tensor:
    """Sum; the ratios are applied in fixed point."""
    total: torch.Tensor = _Step.apply(a, b, a_scale / scale, b_scale / scale)
    low, high = _bounds(limits, scale, zero)
    steps: torch.Tensor = _Requantize.apply(total, torch.ones(()), zero, low, high, True)
    return steps


def mean(
    v: torch.Tensor, source: torch.Tensor, source_zero: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor
) -> torch.Tensor:
    """Mean over height and width, added up in the order and rounding of the kernel."""
    elements = v.shape[2] * v.shape[3]
    ratio = source / scale * torch.tensor(1.0 / elements)
    total = v.sum(dim=(2, 3), keepdim=True)
    with torch.no_grad():
        offset = zero - source_zero * (ratio * elements)
        exact = ((total + source_zero * elements) * ratio + offset).round_().clamp_(QMIN, QMAX) - zero
    # The kernel adds its zero points in float: a rounding apart from the plain one, whose gradient is taken.
    plain = requantize(total, ratio, scale, zero, NO_LIMITS)
    return plain + (exact - plain.detach())


def hardswish(v: torch.Tensor, source: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    """Hardswish by table."""
    return quantize(F.hardswish(v * source), scale, zero)


def flatten(v: torch.Tensor) -> torch.Tensor:
    """[N, C, 1, 1] -> [N, C]."""
    return torch.flatten(v, 1)


def pad(v: torch.Tensor, sides: list[int]) -> torch.Tensor:
    """Pad with zeros, which is what the zero point stands for."""
    return F.pad(v, sides)


def weight_steps(weight: torch.Tensor, start: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Weights as the program has them.

    Args:
        weight: the parameter, in steps of `start`, [out, ...].
        start: weight scales that calibration found, [out].
        scale: the learned ones, [out].
    """
    ratio = (start / scale).view(-1, *[1] * (weight.dim() - 1))
    steps: torch.Tensor = _Rounded.apply(weight * ratio, float(QMIN + 1), float(QMAX))
    return steps


def bias_of(offset: torch.Tensor, start: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """A learned bias: `offset`, the parameter, counts steps of the layer's output at the start, `scale`."""
    return start + offset * scale


def _bias_steps(bias: torch.Tensor | None, source: torch.Tensor, weight_scale: torch.Tensor) -> torch.Tensor | None:
    """A bias in steps of the accumulator, with its gradient."""
    if bias is None:
        return None
    # The program's biases are rounded in double precision.
    steps = bias.to(torch.float64) / (weight_scale.to(torch.float64) * source.to(torch.float64))
    limits = torch.iinfo(torch.int32)
    rounded: torch.Tensor = _Rounded.apply(steps, float(limits.min), float(limits.max))
    return rounded.to(torch.float32)


def _bounds(limits: Limits, scale: torch.Tensor, zero: torch.Tensor) -> tuple[int, int]:
    """int8's limits, and a fused clamp's, in steps from the zero point."""
    inverse = (1.0 / scale.detach()).item()
    centre = int(zero.item())
    low, high = (bound if math.isinf(bound) else round(bound * inverse) for bound in limits)
    return int(max(QMIN - centre, low)), int(min(QMAX - centre, high))


def _silu_scaled(v: torch.Tensor, scale: torch.Tensor, out_scale: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """The product before rounding, in steps of the output."""
    gate = torch.mul(v, scale, out=out).sigmoid_().mul_(_SIGMOID_STEPS).round_().clamp_(max=_SIGMOID_STEPS - 1)
    return gate.mul_(v).mul_(scale * (1.0 / _SIGMOID_STEPS) / out_scale)


def _rows(x: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W] or [N, C] -> [N * H * W / k, k * C] in memory order: long rows, which one loop runs over."""
    if x.dim() == 2:
        return x.contiguous()
    pixels = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    together = math.gcd(pixels.numel() // x.shape[1], 2 ** int(math.log2(max(1, _ROW / x.shape[1]))))
    return pixels.reshape(-1, together * x.shape[1])


def _repeated(ratio: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """One factor for each number of a row, or one for all."""
    return ratio if ratio.dim() == 0 else ratio.repeat(rows.shape[1] // len(ratio))


def _like(rows: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Back from `_rows`."""
    if x.dim() == 2:
        return rows
    n, c, h, w = x.shape
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)


def _parts(rows: torch.Tensor) -> list[slice]:
    """Cut into pieces that stay in the cache over all the operations on them: twice as fast as whole tensors."""
    count = max(1, _CACHED // rows.shape[1])
    return [slice(first, first + count) for first in range(0, rows.shape[0], count)]


def _inside(gradient: torch.Tensor, scaled: torch.Tensor, limits: tuple[float, float]) -> torch.Tensor:
    """The gradient where nothing saturated, zero elsewhere."""
    kept: torch.Tensor = aten.hardtanh_backward(gradient, scaled, *limits)
    return kept


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))
