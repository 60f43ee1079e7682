"""Pixels in, inside the program: what `--embed-preprocess` puts before the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.common.quiet import quiet_libraries
from quant.graph.pixels import PIXEL_SCALE, colour_of
from quant.lower.options import Normalization
from quant.lower.xnnpack.delegate import DelegateBuilder, concatenate, convolution, depthwise_pixel

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema

_FAINT = 2.0**-16
"""Scale of weights that leave a constant what it is: a pixel times it is far from half of a step."""


def emit_normalized(builder: DelegateBuilder, shape: tuple[int, ...], normalization: Normalization) -> int:
    """Define a uint8 input and the float32 tensor that the network reads, both [1, H, W, C].

    `((pixel / 255) - mean) / std` as one product and sum a channel: a depthwise 1x1 convolution, because the runtime
    gives constants back to the system that no kernel has packed. It rounds once where three steps round thrice; the
    tensor is within 1e-6 of theirs.

    Args:
        builder: of the delegate, whose float tensors are fp32.
        shape: [1, H, W, C].
        normalization: of the network.

    Returns:
        Id of the float32 tensor.
    """
    pixels, wide, result = builder.external_pixels(shape), builder.tensor(shape, None), builder.tensor(shape, None)
    builder.add(schema.XNNConvert, pixels, to=wide)
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (normalization.mean, normalization.std))
    depthwise_pixel(builder, wide, result, 1 / (255 * std), -mean / std)
    return result


def emit_padded(
    builder: DelegateBuilder, shape: tuple[int, ...], padding: Sequence[int], mean: Sequence[float]
) -> tuple[int, tuple[int, ...]]:
    """Define a uint8 input and the same pixels as int8, within rows and columns of the mean's colour.

    Nothing is computed but a table lookup: what is left is copied.

    Args:
        builder: of the delegate.
        shape: [1, H, W, C] of the input.
        padding: left, right, top, bottom; 0 or 1.
        mean: of each channel.

    Returns:
        Id and shape of the int8 tensor.
    """
    source = builder.external_pixels(shape, PIXEL_SCALE.scale)
    result = builder.tensor(shape, PIXEL_SCALE)
    builder.add(schema.XNNConvert, source, to=result)
    left, right, top, bottom = padding
    for axis, before, after in ((2, left, right), (1, top, bottom)):
        if before or after:
            line = _line(builder, result, shape, axis, mean)
            parts = [*[line] * before, result, *[line] * after]
            shape = (*shape[:axis], shape[axis] + before + after, *shape[axis + 1 :])
            result = concatenate(builder, parts, shape, axis, PIXEL_SCALE)
    return result, shape


def _line(builder: DelegateBuilder, source: int, shape: tuple[int, ...], axis: int, mean: Sequence[float]) -> int:
    """A row or column of the mean's colour, as long as the tensor that it goes beside: a convolution's bias.

    A constant tensor would be given back to the system; and weights of zero are what a dead layer has.
    """
    channels = shape[3]
    line = tuple(1 if dim == axis else side for dim, side in enumerate(shape))
    result, scales = builder.tensor(line, PIXEL_SCALE), torch.full((channels,), _FAINT)
    weight = torch.eye(channels, dtype=torch.int8).view(channels, 1, 1, channels)
    bias = torch.tensor([round(channel / _FAINT) for channel in colour_of(mean)], dtype=torch.int32)
    stride = (shape[1] if axis == 1 else 1, shape[2] if axis == 2 else 1)
    builder.add(
        schema.XNNConv2d,
        source,
        to=result,
        filter_id=builder.channelwise_constant(weight, scales, 0),
        bias_id=builder.channelwise_constant(bias, scales, 0),
        **convolution(channels=(channels, channels), stride=stride),
    )
    return result
