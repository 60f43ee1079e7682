"""Graph of ATen operators and q/dq pairs -> one XNNPACK delegate, one operator at a time.

The stock path retraces the graph some 30 times (40 s for B0, worse than linear in depth) to arrive at the same
nodes. This one reads the PT2E-converted graph once. It also expresses what the stock serializer cannot: the
asymmetric padding of TF "SAME" convolutions, and weights whose bias shares their scales.

Inside the delegate every 4-D tensor is NHWC, as XNNPACK wants it; shapes in the ATen graph are NCHW.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.pixels import PIXEL_SCALE, pixels
from quant.graph.qdq import (
    CLAMP_RANGES,
    DEQUANTIZE,
    QMAX,
    QUANTIZE,
    Range,
    TensorScale,
    argument,
    constant_of,
    following_quantize,
    fused_clamp,
    geometry,
    is_int8,
    is_weight,
    quantize_bias,
    tensor_scale,
)
from quant.lower.options import Normalization
from quant.lower.xnnpack.delegate import DelegateBuilder, convolution
from quant.lower.xnnpack.float_rules import FLOAT_RULES
from quant.lower.xnnpack.gates import widened
from quant.lower.xnnpack.normalization import emit_normalized, emit_padded
from quant.thresholds import WEIGHT_SCALE_FLOOR

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
    from executorch.backends.xnnpack.utils.xnnpack_constants import UINT32_MAX, XNN_FLAG_KEEP_DIMS

aten = torch.ops.aten


class UnsupportedOperatorError(ValueError):
    """The graph holds an operator that this emitter cannot place in the delegate."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor inside the delegate."""

    id: int
    shape: tuple[int, ...]
    """As in the ATen graph (NCHW), batch included."""
    scale: TensorScale | None


@dataclass(slots=True)
class Emitter:
    """Walks a graph in order; `values` maps each ATen node to what stands for it in the delegate."""

    module: fx.GraphModule
    input_shape: tuple[int, ...]
    builder: DelegateBuilder = field(default_factory=DelegateBuilder)
    values: dict[fx.Node, Value] = field(default_factory=dict)
    padding: dict[fx.Node, tuple[int, int, int, int]] = field(default_factory=dict)
    """Pad nodes that their convolutions take over: left, right, top, bottom."""
    output_shape: tuple[int, ...] = ()
    """Of the network's result, set by `run`."""
    operators: int = 0
    """Operators of the network (q/dq and constants not counted) that the delegate runs."""
    normalization: Normalization | None = None
    """Where the input is pixels, uint8 NHWC, that the network wants normalised."""
    takes_pixels: bool = False
    """Whether the input is pixels, for the network to read or to be normalised; set by `run`."""
    int8_output: bool = False
    """Whether the result is the int8 tensor that the last dq reads."""
    dynamic_classifier: bool = False
    """Whether a linear layer in float gets int8 weights, and int8 activations with a scale found at run time."""

    def run(self) -> None:
        """Emit every node.

        Raises:
            UnsupportedOperatorError: an operator without a rule in `RULES`.
        """
        for node in self.module.graph.nodes:
            if node.op == "placeholder":
                self._emit_input(node)
            elif node.op == "output":
                self._emit_output(node)
            elif node.op == "call_function" and node not in self.values and not is_weight(node):
                rule = RULES.get(node.target)
                if rule is None:
                    raise UnsupportedOperatorError(f"{node.name}: no XNNPACK rule for {node.target}.")
                rule(self, node)

    def read(self, node: Any, scale_like: fx.Node | None = None) -> Value:
        """The value that a compute node reads; a dq that feeds float code becomes a conversion."""
        assert isinstance(node, fx.Node)
        if node.target is DEQUANTIZE and scale_like is not None and is_int8(scale_like):
            source = node.args[0]
            assert isinstance(source, fx.Node)
            return self.values[source]
        if node.target is DEQUANTIZE and node not in self.values:
            source = node.args[0]
            assert isinstance(source, fx.Node)
            self.values[node] = self.convert(self.values[source], None)
        if node not in self.values:
            raise UnsupportedOperatorError(f"{node.name}: a constant where only layers have one.")
        return self.values[node]

    def define(self, node: fx.Node, shape: tuple[int, ...]) -> tuple[Value, Range | None]:
        """Define the output of a compute node: int8 where a q follows, after a fused clamp if there is one.

        Returns:
            The value and the range of the fused clamp.
        """
        last, limits = node, None
        clamp = fused_clamp(node)
        if clamp is not None:
            last, limits = clamp, CLAMP_RANGES[clamp.target](clamp)
        quantize = following_quantize(last) if is_int8(node) else None
        scale = tensor_scale(quantize) if quantize is not None else None
        value = Value(self.builder.tensor(nhwc(shape), scale), shape, scale)
        for covered in (node, last, quantize):
            if covered is not None:
                self.values[covered] = value
        return value, limits

    def define_float(self, node: fx.Node, shape: tuple[int, ...]) -> Value:
        """Define the output of a node that computes in float whatever follows: a q is a conversion of its own."""
        self.values[node] = Value(self.builder.tensor(nhwc(shape), None), shape, None)
        return self.values[node]

    def convert(self, source: Value, scale: TensorScale | None, shape: tuple[int, ...] | None = None) -> Value:
        """Convert between float and int8 (or between two scales); `shape` where the tensor is not NHWC."""
        target = Value(self.builder.tensor(shape or nhwc(source.shape), scale), source.shape, scale)
        self.builder.add_node(schema.XNNConvert(input_id=source.id, output_id=target.id, flags=0))
        return target

    def _emit_input(self, node: fx.Node) -> None:
        folded = any(user.target is pixels for user in node.users)
        self.takes_pixels = folded or self.normalization is not None
        if folded:
            return
        if self.normalization is not None:
            # Already NHWC: no layout to change; a q that follows is a conversion as any other.
            normalized = emit_normalized(self.builder, nhwc(self.input_shape), self.normalization)
            self.values[node] = Value(normalized, self.input_shape, None)
            return
        external = self.builder.external_input(self.input_shape)
        value = Value(external, self.input_shape, None)
        if self.builder.half:
            value = self.convert(value, None, shape=self.input_shape)
        quantizes = [user for user in node.users if user.target is QUANTIZE]
        if len(quantizes) == 1 and len(node.users) == 1:
            # Quantize first: the layout change then moves a quarter of the bytes.
            scale = tensor_scale(quantizes[0])
            narrow = self.builder.tensor(self.input_shape, scale)
            self.builder.add_node(schema.XNNConvert(input_id=external, output_id=narrow, flags=0))
            value = Value(narrow, self.input_shape, scale)
            self.values[quantizes[0]] = self._transpose(value, (0, 2, 3, 1))
        self.values[node] = value if quantizes else self._transpose(value, (0, 2, 3, 1))

    def _transpose(self, value: Value, order: tuple[int, ...]) -> Value:
        shape = tuple(value.shape[i] for i in order) if order == (0, 2, 3, 1) else value.shape
        target = self.builder.tensor(shape, value.scale)
        self.builder.add_node(
            schema.XNNStaticTranspose(num_dims=4, perm=list(order), input_id=value.id, output_id=target, flags=0)
        )
        return Value(target, value.shape, value.scale)

    def _emit_output(self, node: fx.Node) -> None:
        result = node.args[0]
        result = result[0] if isinstance(result, (tuple, list)) else result
        if self.int8_output:
            assert isinstance(result, fx.Node)
            assert result.target is DEQUANTIZE
            result = result.args[0]
        value = self.read(result)
        self.output_shape = value.shape
        external = self.builder.external_output(value.shape, value.scale)
        if self.builder.half:
            if len(value.shape) == 4:
                value = self._transpose(value, (0, 3, 1, 2))
            step = schema.XNNConvert(input_id=value.id, output_id=external, flags=0)
        elif len(value.shape) == 4:
            step = schema.XNNStaticTranspose(
                num_dims=4, perm=[0, 3, 1, 2], input_id=value.id, output_id=external, flags=0
            )
        else:
            step = schema.XNNCopy(input_id=value.id, output_id=external, flags=0)
        self.builder.add_node(step)


def nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    """XNNPACK's order of a 4-D NCHW shape; other ranks as they are."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape


def _emit_quantize(emitter: Emitter, node: fx.Node) -> None:
    emitter.values[node] = emitter.convert(emitter.read(node.args[0]), tensor_scale(node))


def _emit_dequantize(emitter: Emitter, node: fx.Node) -> None:
    """Nothing yet: int8 readers take the q's value, float readers ask for a conversion (`Emitter.read`)."""


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


def _emit_conv(emitter: Emitter, node: fx.Node) -> None:
    activation = node.args[0]
    pad = emitter.padding.get(_behind_dequantize(activation), (0, 0, 0, 0))
    source = emitter.read(activation, node)
    weight, scales = _weights(emitter, node, source)
    out_channels, group_inputs, kernel_h, kernel_w = weight.shape
    stride, padding, dilation, groups = geometry(node)
    left, right, top, bottom = (p + padding[i] for p, i in zip(pad, (1, 1, 0, 0), strict=True))
    height = (source.shape[2] + top + bottom - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    width = (source.shape[3] + left + right - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1

    if emitter.builder.half and (kernel_h, kernel_w, groups, stride) == (1, 1, 1, (1, 1)):
        _emit_half_pointwise(emitter, node, source, weight.flatten(1))
        return
    # A stem that sees one channel is none: its filters read the same one.
    depthwise = groups > 1 and groups == source.shape[1] and group_inputs == 1
    # Depthwise weights lie as [1, H, W, channels], others as [out, H, W, in].
    data = weight.permute(1, 2, 3, 0) if depthwise else weight.permute(0, 2, 3, 1)
    builder = emitter.builder
    filter_id = (
        # XNNPACK packs fp16 convolutions from fp32 weights only.
        builder.float_constant(data.contiguous(), wide=True)
        if scales is None
        else builder.channelwise_constant(data.contiguous(), scales, 3 if depthwise else 0)
    )
    bias_id = _bias(emitter, node, source, scales, wide=True)
    value, limits = emitter.define(node, (source.shape[0], out_channels, height, width))
    node_of_delegate = convolution(
        source=source.id,
        result=value.id,
        filter_id=filter_id,
        bias_id=bias_id,
        channels=(group_inputs, out_channels // groups),
        groups=groups,
        depthwise=depthwise,
        kernel=(kernel_h, kernel_w),
        stride=stride,
        dilation=dilation,
        padding=(left, right, top, bottom),
    )
    builder.add_node(node_of_delegate, limits)
    emitter.operators += 1 if limits is None else 2


def _emit_half_pointwise(emitter: Emitter, node: fx.Node, source: Value, weight: torch.Tensor) -> None:
    """Write a 1x1 convolution as a fully connected layer over channels: that one takes fp16 weights as they are."""
    filter_id = emitter.builder.float_constant(weight)
    bias_id = _bias(emitter, node, source, None)
    value, limits = emitter.define(node, (source.shape[0], weight.shape[0], *source.shape[2:]))
    layer = schema.XNNFullyConnected(
        input1_id=source.id, filter_id=filter_id, bias_id=bias_id, output_id=value.id, flags=0
    )
    emitter.builder.add_node(layer, limits)
    emitter.operators += 1 if limits is None else 2


def _emit_linear(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    weight, scales = _weights(emitter, node, source)
    builder = emitter.builder
    bias_id = _bias(emitter, node, source, scales)
    if scales is None and emitter.dynamic_classifier:
        source = _dynamic(emitter, source)
        weight, scales = _rounded_weights(weight)
    filter_id = builder.float_constant(weight) if scales is None else builder.channelwise_constant(weight, scales, 0)
    value, limits = emitter.define(node, (*source.shape[:-1], weight.shape[0]))
    builder.add_node(
        schema.XNNFullyConnected(
            input1_id=source.id, filter_id=filter_id, bias_id=bias_id, output_id=value.id, flags=0
        ),
        limits,
    )
    emitter.operators += 1 if limits is None else 2


def _dynamic(emitter: Emitter, source: Value) -> Value:
    """Convert a float tensor to int8 with scales found at run time."""
    target = emitter.builder.dynamic_tensor(source.shape)
    emitter.builder.add_node(schema.XNNConvert(input_id=source.id, output_id=target, flags=0))
    return Value(target, source.shape, None)


def _rounded_weights(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Float weights [out, in] as int8 values and one float32 scale a row."""
    scales = (weight.abs().amax(dim=1) / QMAX).clamp(min=WEIGHT_SCALE_FLOOR).to(torch.float32)
    return (weight / scales[:, None]).round().clamp(-QMAX, QMAX).to(torch.int8), scales


def _unary(kind: Any, flags: int = 0) -> Callable[[Emitter, fx.Node], None]:
    def emit(emitter: Emitter, node: fx.Node) -> None:
        source = emitter.read(node.args[0], node)
        value, _ = emitter.define(node, source.shape)
        emitter.builder.add_node(kind(input_id=source.id, output_id=value.id, flags=flags))
        emitter.operators += 1

    return emit


def _emit_clamp(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    value, _ = emitter.define(node, source.shape)
    clamp = schema.XNNClamp(input_id=source.id, output_id=value.id, flags=0)
    emitter.builder.add_node(clamp, CLAMP_RANGES[node.target](node))
    emitter.operators += 1


def _binary(kind: Any) -> Callable[[Emitter, fx.Node], None]:
    def emit(emitter: Emitter, node: fx.Node) -> None:
        sources = [emitter.read(a, node) for a in node.args[:2]]
        shape = tuple(torch.broadcast_shapes(*(source.shape for source in sources)))
        value, limits = emitter.define(node, shape)
        first, second = (
            widened(emitter.builder, source.id, nhwc(source.shape), nhwc(shape), source.scale) for source in sources
        )
        emitter.builder.add_node(kind(input1_id=first, input2_id=second, output_id=value.id, flags=0), limits)
        emitter.operators += 1 if limits is None else 2

    return emit


def _emit_mean(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    dims = sorted(d % 4 for d in node.args[1])  # type: ignore[union-attr, operator]
    if dims != [2, 3] or not argument(node, 2, False):
        raise UnsupportedOperatorError(f"{node.name}: mean runs over (2, 3) with keepdim only, got {node.args}.")
    value, _ = emitter.define(node, (*source.shape[:2], 1, 1))
    emitter.builder.add_node(
        schema.XNNGlobalAvgPooling2d(input_id=source.id, output_id=value.id, flags=XNN_FLAG_KEEP_DIMS)
    )
    emitter.operators += 1


def _emit_flatten(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    if len(source.shape) != 4 or source.shape[2:] != (1, 1):
        # Only then is NHWC memory the same as NCHW memory.
        raise UnsupportedOperatorError(f"{node.name}: flatten follows global pooling only, got {source.shape}.")
    value, _ = emitter.define(node, (source.shape[0], source.shape[1]))
    emitter.builder.add_node(
        schema.XNNStaticReshape(
            num_dims=2, new_shape=list(value.shape), input_id=source.id, output_id=value.id, flags=0
        )
    )
    emitter.operators += 1


def _emit_pad(emitter: Emitter, node: fx.Node) -> None:
    """Hand a zero pad over to the convolutions that read it: XNNPACK pads there at no cost."""
    amounts = [int(a) for a in node.args[1]]  # type: ignore[union-attr, arg-type]
    mode, fill = argument(node, 2, "constant"), argument(node, 3, None)
    quantize = following_quantize(node)
    readers = [user for dq in quantize.users for user in dq.users] if quantize else list(node.users)
    if len(amounts) != 4 or mode != "constant" or fill not in (None, 0, 0.0):
        raise UnsupportedOperatorError(f"{node.name}: only zero padding of height and width, got {node.args}.")
    if any(reader.target is not aten.conv2d.default for reader in readers):
        raise UnsupportedOperatorError(f"{node.name}: padding is supported in front of convolutions only.")
    source = emitter.read(node.args[0], node)
    for covered in (node, quantize):
        if covered is not None:
            emitter.values[covered] = source
            emitter.padding[covered] = (amounts[0], amounts[1], amounts[2], amounts[3])
    emitter.operators += 1


def _emit_pixels(emitter: Emitter, node: fx.Node) -> None:
    """Take uint8 NHWC instead of the network's input: int8 for whom a q makes int8 of it, float for others."""
    padding, mean = node.args[1:3]
    tensor, shape = emit_padded(emitter.builder, nhwc(emitter.input_shape), padding, mean)  # type: ignore[arg-type]
    value = Value(tensor, (shape[0], shape[3], *shape[1:3]), PIXEL_SCALE)
    quantizes = [user for user in node.users if user.target is QUANTIZE]
    emitter.values.update(dict.fromkeys(quantizes, value))
    if len(quantizes) < len(node.users):
        emitter.values[node] = emitter.convert(value, None)


def _behind_dequantize(node: Any) -> fx.Node:
    assert isinstance(node, fx.Node)
    source = node.args[0] if node.target is DEQUANTIZE else node
    assert isinstance(source, fx.Node)
    return source


def _emit_identity(emitter: Emitter, node: fx.Node) -> None:
    emitter.values[node] = emitter.read(node.args[0])


RULES: dict[Any, Callable[[Emitter, fx.Node], None]] = {
    QUANTIZE: _emit_quantize,
    DEQUANTIZE: _emit_dequantize,
    aten.conv2d.default: _emit_conv,
    aten.linear.default: _emit_linear,
    aten.sigmoid.default: _unary(schema.XNNSigmoid),
    aten.hardswish.default: _unary(schema.XNNHardswish),
    aten.hardswish_.default: _unary(schema.XNNHardswish),
    aten.mul.Tensor: _binary(schema.XNNMultiply),
    aten.add.Tensor: _binary(schema.XNNAdd),
    aten.add_.Tensor: _binary(schema.XNNAdd),
    aten.mean.dim: _emit_mean,
    aten.flatten.using_ints: _emit_flatten,
    aten.pad.default: _emit_pad,
    pixels: _emit_pixels,
    aten.dropout.default: _emit_identity,
    **dict.fromkeys(CLAMP_RANGES, _emit_clamp),
    **FLOAT_RULES,
}
