"""Convolutions and fully connected layers of a delegate, with their weights and biases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import QMAX, constant_of, geometry, is_weight, quantize_bias
from quant.lower.xnnpack.delegate import convolution
from quant.thresholds import WEIGHT_SCALE_FLOOR

if TYPE_CHECKING:
    from quant.lower.xnnpack.emit import Emitter, Value

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
    from executorch.backends.xnnpack.utils.xnnpack_constants import UINT32_MAX


def _weights(emitter: Emitter, node: fx.Node, source: Value) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weights of a convolution or linear layer: (values, scales); scales None in float."""
    weight = node.args[1]
    assert isinstance(weight, fx.Node)
    if not is_weight(weight):
        return constant_of(emitter.module, weight), None
    values, scales = (constant_of(emitter.module, weight.args[i]) for i in (0, 1))
    if source.scale is None:
        return values.to(torch.float32) * scales.view(-1, *[1] * (values.dim() - 1)), None
    return values, scales.to(torch.float32)


def _filter(
    emitter: Emitter, data: torch.Tensor, scales: torch.Tensor | None, channel_dim: int = 0, *, wide: bool = False
) -> int:
    if scales is None:
        return emitter.builder.float_constant(data, wide=wide)
    return emitter.builder.channelwise_constant(data, scales, channel_dim)


def _bias(emitter: Emitter, node: fx.Node, source: Value, scales: torch.Tensor | None, *, wide: bool = False) -> int:
    """Define the bias: int32 in units of input scale times weight scale where the layer is int8."""
    if len(node.args) < 3 or node.args[2] is None:
        return int(UINT32_MAX)
    bias = constant_of(emitter.module, node.args[2])
    if scales is None or source.scale is None:
        return emitter.builder.float_constant(bias, wide=wide)
    integers = quantize_bias(bias, source.scale.scale, scales)
    # The kernels take the bias scale as input scale x weight scale; what is stored only has to be valid,
    # so the weights' own scales serve and cost no byte.
    return emitter.builder.channelwise_constant(integers, scales, 0)


def emit_conv(emitter: Emitter, node: fx.Node) -> None:
    """Emit a convolution with the pad in front of it and the clamp behind it."""
    activation = node.args[0]
    assert isinstance(activation, fx.Node)
    source = emitter.read(activation, node)
    pad = emitter.padding.get(activation, (0, 0, 0, 0))
    weight, scales = _weights(emitter, node, source)
    out_channels, group_inputs, kernel_h, kernel_w = weight.shape
    stride, padding, dilation, groups = geometry(node)
    left, right, top, bottom = (p + padding[i] for p, i in zip(pad, (1, 1, 0, 0), strict=True))
    height = (source.shape[2] + top + bottom - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    width = (source.shape[3] + left + right - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    shape = (source.shape[0], out_channels, height, width)
    if emitter.builder.half and (kernel_h, kernel_w, groups, stride) == (1, 1, 1, (1, 1)):
        # A fully connected layer over channels takes fp16 weights as they are.
        emitter.add(
            schema.XNNFullyConnected,
            source.id,
            filter_id=_filter(emitter, weight.flatten(1), None),
            bias_id=_bias(emitter, node, source, None),
            to=emitter.define(node, shape),
        )
        return
    # A stem that sees one channel is none: its filters read the same one.
    depthwise = groups > 1 and groups == source.shape[1] and group_inputs == 1
    # Depthwise weights lie as [1, H, W, channels], others as [out, H, W, in].
    data = weight.permute(1, 2, 3, 0) if depthwise else weight.permute(0, 2, 3, 1)
    emitter.add(
        schema.XNNDepthwiseConv2d if depthwise else schema.XNNConv2d,
        source.id,
        # XNNPACK packs fp16 convolutions from fp32 weights only.
        filter_id=_filter(emitter, data.contiguous(), scales, 3 if depthwise else 0, wide=True),
        bias_id=_bias(emitter, node, source, scales, wide=True),
        to=emitter.define(node, shape),
        **convolution(
            channels=(group_inputs, out_channels // groups),
            groups=groups,
            kernel=(kernel_h, kernel_w),
            stride=stride,
            dilation=dilation,
            padding=(left, right, top, bottom),
        ),
    )


def emit_linear(emitter: Emitter, node: fx.Node) -> None:
    """Emit a fully connected layer; a classifier in float may get int8 weights and activations here."""
    source = emitter.read(node.args[0], node)
    weight, scales = _weights(emitter, node, source)
    bias_id = _bias(emitter, node, source, scales)
    if scales is None and emitter.dynamic_classifier:
        source = _dynamic(emitter, source)
        weight, scales = _rounded_weights(weight)
    emitter.add(
        schema.XNNFullyConnected,
        source.id,
        filter_id=_filter(emitter, weight, scales),
        bias_id=bias_id,
        to=emitter.define(node, (*source.shape[:-1], weight.shape[0])),
    )


def _dynamic(emitter: Emitter, source: Value) -> Value:
    """Convert a float tensor to int8 with scales found at run time."""
    target = replace(source, id=emitter.builder.dynamic_tensor(source.shape))
    emitter.builder.add(schema.XNNConvert, source.id, to=target.id)
    return target


def _rounded_weights(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Float weights [out, in] as int8 values and one float32 scale a row."""
    scales = (weight.abs().amax(dim=1) / QMAX).clamp(min=WEIGHT_SCALE_FLOOR).to(torch.float32)
    return (weight / scales[:, None]).round().clamp(-QMAX, QMAX).to(torch.int8), scales
