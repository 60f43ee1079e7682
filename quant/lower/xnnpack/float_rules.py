"""Operators of a head that the delegate runs in float, whatever stands around them: int8 kernels have none of them.

They see a vector of features an image, so that float costs microseconds. Constants go through layers that pack them:
the runtime gives all others back to the system (`quant.lower.xnnpack.normalization`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import argument, constant_of
from quant.lower.xnnpack.delegate import depthwise_pixel

if TYPE_CHECKING:
    from quant.lower.xnnpack.emit import Emitter, Value

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
    from executorch.backends.xnnpack.utils.xnnpack_constants import UINT32_MAX

aten = torch.ops.aten

Rule = Callable[["Emitter", fx.Node], None]


def _unary(kind: Any, settings: Callable[[fx.Node], dict[str, float]] = lambda node: {}) -> Rule:
    def emit(emitter: Emitter, node: fx.Node) -> None:
        source = emitter.read(node.args[0])
        emitter.add(kind, source.id, to=emitter.define(node, source.shape, in_float=True), **settings(node))

    return emit


def _exact(node: fx.Node) -> dict[str, float]:
    assert node.kwargs.get("approximate", argument(node, 1, "none")) == "none"
    return {}


def _layer_norm(emitter: Emitter, node: fx.Node) -> None:
    """((x - mean) / sqrt(variance + eps)) * weight + bias over the features: means are layers of one output."""
    source = emitter.read(node.args[0])
    builder, rows, features = emitter.builder, source.shape[0], source.shape[-1]

    def mean_of(x: int, plus: float | None) -> int:
        result = builder.tensor((rows, 1), None)
        weight = builder.float_constant(torch.full((1, features), 1.0 / features))
        bias = UINT32_MAX if plus is None else builder.float_constant(torch.tensor([plus]))
        builder.add(schema.XNNFullyConnected, x, to=result, filter_id=weight, bias_id=int(bias))
        return result

    def binary(kind: Any, a: int, b: int) -> int:
        result = builder.tensor((rows, features), None)
        builder.add(kind, a, b, to=result)
        return result

    centred = binary(schema.XNNSubtract, source.id, mean_of(source.id, None))
    variance = mean_of(binary(schema.XNNMultiply, centred, centred), float(argument(node, 4, 1e-5)))
    inverse = builder.tensor((rows, 1), None)
    builder.add(schema.XNNReciprocalSquareRoot, variance, to=inverse)
    normalized = binary(schema.XNNMultiply, centred, inverse)
    weight, bias = (constant_of(emitter.module, node.args[i]) for i in (2, 3))
    _scale(emitter, node, source, normalized, weight, bias)


def _batch_norm(emitter: Emitter, node: fx.Node) -> None:
    """A BatchNorm that no Linear stands beside."""
    source = emitter.read(node.args[0])
    weight, bias, mean, variance = (constant_of(emitter.module, node.args[i]) for i in (1, 2, 3, 4))
    scale = weight * (variance + float(argument(node, 7, 1e-5))).rsqrt()
    _scale(emitter, node, source, source.id, scale, bias - mean * scale)


def _scale(emitter: Emitter, node: fx.Node, source: Value, x: int, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Multiply and shift each feature of `x` [N, C], as a convolution of one pixel."""
    builder, (rows, features) = emitter.builder, source.shape
    made, pixel = emitter.define(node, source.shape, in_float=True), (rows, 1, 1, features)
    wide, result = builder.tensor(pixel, None), builder.tensor(pixel, None)
    builder.add(schema.XNNStaticReshape, x, to=wide, num_dims=4, new_shape=list(pixel))
    depthwise_pixel(builder, wide, result, weight, bias)
    emitter.add(schema.XNNStaticReshape, result, to=made, num_dims=2, new_shape=[rows, features])


FLOAT_RULES: dict[Any, Rule] = {
    aten.gelu.default: _unary(schema.XNNGelu, _exact),
    aten.tanh.default: _unary(schema.XNNTanh),
    aten.elu.default: _unary(schema.XNNELU, lambda node: {"alpha": float(argument(node, 1, 1.0))}),
    aten.leaky_relu.default: _unary(
        schema.XNNLeakyReLU, lambda node: {"negative_slope": float(argument(node, 1, 0.01))}
    ),
    aten.softmax.int: _unary(schema.XNNSoftmax),
    aten.layer_norm.default: _layer_norm,
    aten.batch_norm.default: _batch_norm,
}
