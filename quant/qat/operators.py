"""XNNPACK's int8 operators with gradients: forward to the bit what `quant.lower.xnnpack.arithmetic` computes.

A quantized tensor is carried as `v = q - zero_point`: whole numbers in float32, `real = scale * v`. Scales and zero
points are tensors of their own that enter where the kernels use them, so that the chain rule through rounding
(passed straight through) and saturation gives the gradients of learned step sizes and offsets by itself.

Sources: Esser et al., "Learned Step Size Quantization" (2020), eq. 3; Bhalgat et al., "LSQ+" (2020), eq. 4-6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from quant.graph.qdq import QMAX, QMIN, Range
from quant.qat.kernels import (
    SIGMOID_STEPS,
    Geometry,
    Product,
    QuantizedConvolution,
    Requantize,
    SiLU,
    exactly,
    gate_corrections,
    gate_steps,
    rounded,
)

if TYPE_CHECKING:
    from quant.qat.statistics import ChannelStatistics

# Every parameter is learned in int8 steps, so that one learning rate suits all of them, whatever a folded BatchNorm
# made of a channel's weights: a weight or bias in its own steps, a zero point in steps, and a step size by what
# it moves the end of the range.
_STEPS_OF_SCALE = 127.0

NO_LIMITS: Range = (-math.inf, math.inf)
"""Of a layer without a fused clamp."""


def scale_of(log_scale: Tensor, start: Tensor, factor: float) -> Tensor:
    """A learned step size, `start * exp(log_scale / 127)`: positive whatever is learned.

    Args:
        log_scale: the parameter, 0 at the start.
        start: scale that calibration found.
        factor: of the gradient; LSQ's 1 / sqrt(values * 127) for activations, so that a scale that many values
            share does not outrun the weights.
    """
    learned = exactly(log_scale * factor, log_scale)
    return start * (learned / _STEPS_OF_SCALE).exp()


def zero_point_of(offset: Tensor, start: Tensor, factor: float) -> Tensor:
    """A learned zero point, rounded to the int8 value that the program has; arguments as `scale_of`."""
    return rounded(start + exactly(offset * factor, offset), QMIN, QMAX)


def quantize(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Float -> int8 steps."""
    return requantize(x, 1.0 / scale, scale, zero, NO_LIMITS)


def dequantize(v: Tensor, scale: Tensor) -> Tensor:
    """Int8 steps -> float."""
    return v * scale


def requantize(accumulator: Tensor, ratio: Tensor, scale: Tensor, zero: Tensor, limits: Range) -> Tensor:
    """Multiply by `ratio` ([channels] or one), round and saturate to a tensor of the given scale and zero point.

    Args:
        accumulator: what to scale.
        ratio: by how much.
        scale: of the result.
        zero: point of the result.
        limits: of a fused clamp.
    """
    factor = ratio.view(-1, *[1] * (accumulator.dim() - 2)) if ratio.dim() else ratio
    steps: Tensor = Requantize.apply(accumulator * factor, zero, _bounds(limits, scale, zero))
    return steps


def convolve(
    v: Tensor,
    source: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    zero: Tensor,
    limits: Range,
    geometry: Geometry,
    precision: torch.dtype,
    statistics: ChannelStatistics | None,
) -> Tensor:
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
        precision: in which gradients are computed.
        statistics: normalise each batch while they train; None where BatchNorm stays folded.
    """
    steps = _bias_steps(bias, source, weight_scale)
    ratio = source * weight_scale / scale
    if statistics is None or not statistics.training:
        filters = weight * ratio.view(-1, 1, 1, 1)
        shift = torch.zeros_like(ratio) if steps is None else steps * ratio
        whole = weight.detach(), None if steps is None else steps.detach(), ratio.detach()
        result: Tensor = QuantizedConvolution.apply(
            v, filters, shift, zero, whole, _bounds(limits, scale, zero), geometry, precision
        )
        return result
    accumulator = statistics(F.conv2d(v, weight, None, *geometry))
    accumulator = accumulator if steps is None else accumulator + steps.view(-1, 1, 1)
    return requantize(accumulator, ratio, scale, zero, limits)


def multiply_matrix(
    v: Tensor,
    source: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    zero: Tensor,
    limits: Range,
) -> Tensor:
    """A fully connected layer in int8; arguments as `convolve`."""
    accumulator = F.linear(v, weight, _bias_steps(bias, source, weight_scale))
    return requantize(accumulator, source * weight_scale / scale, scale, zero, limits)


def silu(v: Tensor, source: Tensor, scale: Tensor, zero: Tensor, limits: Range) -> Tensor:
    """Sigmoid and product as the two int8 operators that XNNPACK runs."""
    steps: Tensor = SiLU.apply(v, source, scale, zero, _bounds(limits, scale, zero))
    return steps


def sigmoid(v: Tensor, source: Tensor) -> Tensor:
    """Logistic function, in steps of 1/256."""
    with torch.no_grad():
        exact = gate_steps(v, source, gate_corrections(source))
    return exactly((torch.sigmoid(v * source) * SIGMOID_STEPS).clamp(max=SIGMOID_STEPS - 0.5), exact)


def multiply(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, scale: Tensor, zero: Tensor, limits: Range
) -> Tensor:
    """Elementwise product; one factor may be a gate, [N, C, 1, 1]."""
    wide, gate = (a, b) if a.numel() >= b.numel() else (b, a)
    steps: Tensor = Product.apply(wide, gate, a_scale * b_scale / scale, zero, _bounds(limits, scale, zero))
    return steps


def add(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, scale: Tensor, zero: Tensor, limits: Range) -> Tensor:
    """Sum; the ratios are applied in fixed point."""
    first, second = a_scale / scale, b_scale / scale
    with torch.no_grad():
        shift = 20 - (math.frexp(max(first.item(), second.item()))[1] - 1)
        m, n = (round(ratio.item() * 2.0**shift) for ratio in (first, second))
        total = a.to(torch.int32).mul_(m).add_(b.to(torch.int32).mul_(n)).add_(1 << (shift - 1))
        exact = (total >> shift).to(torch.float32)
    return requantize(exactly(a * first + b * second, exact), torch.ones(()), scale, zero, limits)


def mean(v: Tensor, source: Tensor, source_zero: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Mean over height and width, added up in the order and rounding of the kernel."""
    elements = v.shape[2] * v.shape[3]
    ratio = source / scale * torch.tensor(1.0 / elements)
    total = v.sum(dim=(2, 3), keepdim=True)
    with torch.no_grad():
        offset = zero - source_zero * (ratio * elements)
        exact = ((total + source_zero * elements) * ratio + offset).round_().clamp_(QMIN, QMAX) - zero
    # The kernel adds its zero points in float: a rounding apart from the plain one, whose gradient is taken.
    return exactly(requantize(total, ratio, scale, zero, NO_LIMITS), exact)


def hardswish(v: Tensor, source: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Hardswish by table."""
    return quantize(F.hardswish(v * source), scale, zero)


def flatten(v: Tensor) -> Tensor:
    """[N, C, 1, 1] -> [N, C]."""
    return torch.flatten(v, 1)


def pad(v: Tensor, sides: list[int]) -> Tensor:
    """Pad with zeros, which is what the zero point stands for."""
    return F.pad(v, sides)


def weight_steps(weight: Tensor, start: Tensor, scale: Tensor) -> Tensor:
    """Weights as the program has them.

    Args:
        weight: the parameter, in steps of `start`, [out, ...].
        start: weight scales that calibration found, [out].
        scale: the learned ones, [out].
    """
    ratio = (start / scale).view(-1, *[1] * (weight.dim() - 1))
    return rounded(weight * ratio, QMIN + 1, QMAX)


def bias_of(offset: Tensor, start: Tensor, scale: Tensor) -> Tensor:
    """A learned bias: `offset`, the parameter, counts steps of the layer's output at the start, `scale`."""
    return start + offset * scale


def _bias_steps(bias: Tensor | None, source: Tensor, weight_scale: Tensor) -> Tensor | None:
    """A bias in steps of the accumulator, with its gradient."""
    if bias is None:
        return None
    # The program's biases are rounded in double precision.
    steps = bias.to(torch.float64) / (weight_scale.to(torch.float64) * source.to(torch.float64))
    limits = torch.iinfo(torch.int32)
    return rounded(steps, limits.min, limits.max).to(torch.float32)


def _bounds(limits: Range, scale: Tensor, zero: Tensor) -> tuple[int, int]:
    """int8's limits, and a fused clamp's, in steps from the zero point."""
    inverse = (1.0 / scale.detach()).item()
    centre = int(zero.item())
    low, high = (bound if math.isinf(bound) else round(bound * inverse) for bound in limits)
    return int(max(QMIN - centre, low)), int(min(QMAX - centre, high))
