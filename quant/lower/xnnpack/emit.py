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
    QUANTIZE,
    Range,
    TensorScale,
    argument,
    following_quantize,
    fused_clamp,
    is_int8,
    is_weight,
    tensor_scale,
)
from quant.lower.options import Normalization
from quant.lower.xnnpack.delegate import DelegateBuilder
from quant.lower.xnnpack.float_rules import FLOAT_RULES
from quant.lower.xnnpack.gates import widened
from quant.lower.xnnpack.layers import emit_conv, emit_linear
from quant.lower.xnnpack.normalization import emit_normalized, emit_padded

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
    from executorch.backends.xnnpack.utils.xnnpack_constants import XNN_FLAG_KEEP_DIMS

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
    """What convolutions read behind a pad that they take over: left, right, top, bottom."""
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
        if node.target is DEQUANTIZE and scale_like is not None and is_int8(scale_like):
            return self.values[node.args[0]]
        if node.target is DEQUANTIZE and node not in self.values:
            self.values[node] = self.convert(self.values[node.args[0]], None)
        if node not in self.values:
            raise UnsupportedOperatorError(f"{node.name}: a constant where only layers have one.")
        return self.values[node]

    def define(self, node: fx.Node, shape: tuple[int, ...], *, in_float: bool = False) -> tuple[Value, Range | None]:
        """Define the output of a compute node: int8 where a q follows, after a fused clamp if there is one.

        Args:
            node: that computes.
            shape: of its output.
            in_float: whether it computes in float whatever follows: a q is then a conversion of its own.

        Returns:
            The value and the range of the fused clamp.
        """
        clamp = None if in_float else fused_clamp(node)
        quantize = following_quantize(clamp or node) if not in_float and is_int8(node) else None
        scale = tensor_scale(quantize) if quantize is not None else None
        value = Value(self.builder.tensor(nhwc(shape), scale), shape, scale)
        self.values |= {covered: value for covered in (node, clamp, quantize) if covered is not None}
        return value, None if clamp is None else CLAMP_RANGES[clamp.target](clamp)

    def add(self, kind: Any, *sources: int, to: tuple[Value, Range | None], **settings: Any) -> None:
        """Append an operator of the network that writes what `define` gave, its fused clamp included."""
        value, limits = to
        self.builder.add(kind, *sources, to=value.id, limits=limits, **settings)
        self.operators += 1 if limits is None else 2

    def convert(self, source: Value, scale: TensorScale | None, shape: tuple[int, ...] | None = None) -> Value:
        """Convert between float and int8 (or between two scales); `shape` where the tensor is not NHWC."""
        target = Value(self.builder.tensor(shape or nhwc(source.shape), scale), source.shape, scale)
        self.builder.add(schema.XNNConvert, source.id, to=target.id)
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
        value = Value(self.builder.external_input(self.input_shape), self.input_shape, None)
        if self.builder.half:
            value = self.convert(value, None, shape=self.input_shape)
        reader = following_quantize(node)
        if reader is not None:
            # Quantize first: the layout change then moves a quarter of the bytes.
            value = self.convert(value, tensor_scale(reader), shape=self.input_shape)
        image = Value(self.builder.tensor(nhwc(value.shape), value.scale), value.shape, value.scale)
        self._transpose(value.id, image.id, [0, 2, 3, 1])
        self.values[reader or node] = image

    def _transpose(self, source: int, result: int, order: list[int]) -> None:
        self.builder.add(schema.XNNStaticTranspose, source, to=result, num_dims=4, perm=order)

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
        last = value.id
        if len(value.shape) == 4:
            image = self.builder.tensor(value.shape, value.scale) if self.builder.half else external
            self._transpose(last, image, [0, 3, 1, 2])
            last = image
        if last != external:
            self.builder.add(schema.XNNConvert if self.builder.half else schema.XNNCopy, last, to=external)


def nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    """XNNPACK's order of a 4-D NCHW shape; other ranks as they are."""
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else shape


def _emit_quantize(emitter: Emitter, node: fx.Node) -> None:
    emitter.values[node] = emitter.convert(emitter.read(node.args[0]), tensor_scale(node))


def _emit_dequantize(emitter: Emitter, node: fx.Node) -> None:
    """Nothing yet: int8 readers take the q's value, float readers ask for a conversion (`Emitter.read`)."""


def _unary(kind: Any) -> Rule:
    def emit(emitter: Emitter, node: fx.Node) -> None:
        source = emitter.read(node.args[0], node)
        emitter.add(kind, source.id, to=emitter.define(node, source.shape))

    return emit


def _emit_clamp(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    value, _ = emitter.define(node, source.shape)
    emitter.builder.add(schema.XNNClamp, source.id, to=value.id, limits=CLAMP_RANGES[node.target](node))
    emitter.operators += 1


def _binary(kind: Any) -> Rule:
    def emit(emitter: Emitter, node: fx.Node) -> None:
        sources = [emitter.read(a, node) for a in node.args[:2]]
        shape = tuple(torch.broadcast_shapes(*(source.shape for source in sources)))
        made, image = emitter.define(node, shape), nhwc(shape)
        wide = (widened(emitter.builder, each.id, nhwc(each.shape), image, each.scale) for each in sources)
        emitter.add(kind, *wide, to=made)

    return emit


def _emit_mean(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    dims = sorted(d % 4 for d in node.args[1])  # type: ignore[union-attr, operator]
    if dims != [2, 3] or not argument(node, 2, False):
        raise UnsupportedOperatorError(f"{node.name}: mean runs over (2, 3) with keepdim only, got {node.args}.")
    made = emitter.define(node, (*source.shape[:2], 1, 1))
    emitter.add(schema.XNNGlobalAvgPooling2d, source.id, to=made, flags=XNN_FLAG_KEEP_DIMS)


def _emit_flatten(emitter: Emitter, node: fx.Node) -> None:
    source = emitter.read(node.args[0], node)
    if len(source.shape) != 4 or source.shape[2:] != (1, 1):
        # Only then is NHWC memory the same as NCHW memory.
        raise UnsupportedOperatorError(f"{node.name}: flatten follows global pooling only, got {source.shape}.")
    flat = source.shape[:2]
    made = emitter.define(node, flat)
    emitter.add(schema.XNNStaticReshape, source.id, to=made, num_dims=2, new_shape=list(flat))


def _emit_pad(emitter: Emitter, node: fx.Node) -> None:
    """Hand a zero pad over to the convolutions that read it: XNNPACK pads there at no cost."""
    amounts = [int(a) for a in node.args[1]]  # type: ignore[union-attr, arg-type]
    mode, fill = argument(node, 2, "constant"), argument(node, 3, None)
    quantize = following_quantize(node)
    read = [node] if quantize is None else list(quantize.users)
    readers = [reader for each in read for reader in each.users]
    if len(amounts) != 4 or mode != "constant" or fill not in (None, 0, 0.0):
        raise UnsupportedOperatorError(f"{node.name}: only zero padding of height and width, got {node.args}.")
    if any(reader.target is not aten.conv2d.default for reader in readers):
        raise UnsupportedOperatorError(f"{node.name}: padding is supported in front of convolutions only.")
    source = emitter.read(node.args[0], node)
    emitter.values |= dict.fromkeys([node] if quantize is None else [node, quantize], source)
    emitter.padding |= dict.fromkeys(read, (amounts[0], amounts[1], amounts[2], amounts[3]))
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


def _emit_identity(emitter: Emitter, node: fx.Node) -> None:
    emitter.values[node] = emitter.read(node.args[0])


Rule = Callable[[Emitter, fx.Node], None]

RULES: dict[Any, Rule] = {
    QUANTIZE: _emit_quantize,
    DEQUANTIZE: _emit_dequantize,
    aten.conv2d.default: emit_conv,
    aten.linear.default: emit_linear,
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
