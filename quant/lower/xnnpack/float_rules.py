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


def _unary(make: Callable[[fx.Node, dict[str, int]], Any]) -> Rule:
    def emit(emitter: Emitter, node: fx.Node) -> None:
        source = emitter.read(node.args[0])
        value = emitter.define_float(node, source.shape)
        emitter.builder.add_node(make(node, {"input_id": source.id, "output_id": value.id, "flags": 0}))
        emitter.operators += 1

    return emit


def _gelu(node: fx.Node, ids: dict[str, int]) -> Any:
    assert node.kwargs.get("approximate", argument(node, 1, "none")) == "none"
    return schema.XNNGelu(**ids)


def _layer_norm(emitter: Emitter, node: fx.Node) -> None:
    """((x - mean) / sqrt(variance + eps)) * weight + bias over the features: means are layers of one output."""
    source = emitter.read(node.args[0])
    builder, rows, features = emitter.builder, source.shape[0], source.shape[-1]
    eps = float(argument(node, 4, 1e-5))

    def tensor(*shape: int) -> int:
        return builder.tensor(shape, None)

    def mean_of(x: int, plus: float | None) -> int:
        result = tensor(rows, 1)
        weight = builder.float_constant(torch.full((1, features), 1.0 / features))
        bias = UINT32_MAX if plus is None else builder.float_constant(torch.tensor([plus]))
        builder.add_node(
            schema.XNNFullyConnected(input1_id=x, filter_id=weight, bias_id=int(bias), output_id=result, flags=0)
        )
        return result

    def binary(kind: Any, a: int, b: int) -> int:
        result = tensor(rows, features)
        builder.add_node(kind(input1_id=a, input2_id=b, output_id=result, flags=0))
        return result

    centred = binary(schema.XNNSubtract, source.id, mean_of(source.id, None))
    variance = mean_of(binary(schema.XNNMultiply, centred, centred), eps)
    inverse = tensor(rows, 1)
    builder.add_node(schema.XNNReciprocalSquareRoot(input_id=variance, output_id=inverse, flags=0))
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
    value = emitter.define_float(node, source.shape)
    wide, result = (builder.tensor((rows, 1, 1, features), None) for _ in range(2))
    builder.add_node(
        schema.XNNStaticReshape(num_dims=4, new_shape=[rows, 1, 1, features], input_id=x, output_id=wide, flags=0)
    )
    builder.add_node(depthwise_pixel(builder, wide, result, weight, bias))
    builder.add_node(
        schema.XNNStaticReshape(num_dims=2, new_shape=[rows, features], input_id=result, output_id=value.id, flags=0)
    )
    emitter.operators += 1


FLOAT_RULES: dict[Any, Rule] = {
    aten.gelu.default: _unary(_gelu),
    aten.tanh.default: _unary(lambda node, ids: schema.XNNTanh(**ids)),
    aten.elu.default: _unary(lambda node, ids: schema.XNNELU(alpha=float(argument(node, 1, 1.0)), **ids)),
    aten.leaky_relu.default: _unary(
        lambda node, ids: schema.XNNLeakyReLU(negative_slope=float(argument(node, 1, 0.01)), **ids)
    ),
    aten.softmax.int: _unary(lambda node, ids: schema.XNNSoftmax(**ids)),
    aten.layer_norm.default: _layer_norm,
    aten.batch_norm.default: _batch_norm,
}
