"""Read an XNNPACK delegate's payload: operators, layers with their constants, quantization parameters.

The format is executorch's `backends/xnnpack/serialization/schema.fbs` behind a header; numbers below count the fields
of its tables. Layers have no names in it: they are numbered in the order in which they run.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from quant.program.flatbuffer import BrokenTableError, Budget, FlatTable

_DATATYPES = (
    *("invalid", "float32", "float16", "qint8", "quint8", "qint32", "qcint8", "qcint32", "qcint4", "qdint8"),
    *("qbint4", "qpint8", "int32", "pfp32", "bfloat16"),
)

_OPERATORS = (
    *("none", "add", "fully connected", "softmax", "sigmoid", "transpose", "clamp", "convolution", "divide"),
    *("resize bilinear", "constant pad", "average pooling", "minimum", "depthwise convolution", "max pooling"),
    *("multiply", "subtract", "floor", "convert", "global average pooling", "reshape", "argmax pooling"),
    *("square root", "ceiling", "hardswish", "leaky relu", "maximum", "negate", "square", "elu", "abs", "prelu"),
    *("concatenate 2", "concatenate 3", "concatenate 4", "slice", "attention", "batch matrix multiply"),
    *("concatenate 5", "transposed convolution", "reciprocal square root", "log", "gelu", "tanh", "exp", "sin"),
    *("copy", "cos"),
)

# Operator -> first of its four fields input, filter, bias, output.
_LAYERS = {"convolution": 15, "depthwise convolution": 15, "transposed convolution": 15, "fully connected": 0}

# Bytes that are looked through at once, and what they cost of the budget: 2 GiB use it up.
_CHUNK, _CHUNK_COST = 64 * 1024, 64

_NO_VALUE = 2**32 - 1
_QUANTIZED_VALUE = 2
_PER_CHANNEL, _PER_TENSOR = 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadLayer:
    """A convolution or fully connected layer."""

    name: str
    """Its operator and number."""
    weight_shape: tuple[int, ...]
    weight_dtype: str
    constant_bytes: int
    """Weights, bias and scales."""
    weight_scales: int
    """How many its weights have; 0 in float."""
    output_scale: tuple[float, int] | None
    """Scale and zero point of its output; None in float."""
    dead: bool
    """Whether its weights are all zero, where they travel in the payload."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """What a delegate holds."""

    operators: Mapping[str, int]
    layers: tuple[PayloadLayer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Value:
    dtype: str
    shape: tuple[int, ...]
    constant: int
    scales: int
    scale_constant: int
    scale: tuple[float, int] | None


def read_payload(data: bytes | memoryview, budget: Budget | None = None) -> Payload:
    """Parse a payload.

    Args:
        data: the payload.
        budget: for all payloads of a program, which may be thousands of times the same one.

    Raises:
        BrokenTableError: not one, or a broken one.
    """
    view = memoryview(data)
    if bytes(view[4:8]) != b"XH00" or len(view) < 30:
        raise BrokenTableError(f"{bytes(view[4:8])!r} stands where XH00 should")
    offset, size = struct.unpack_from("<II", view, 10)
    graph = FlatTable.root(view[offset : offset + size], budget)
    values = graph.map(2, _value)
    constants = _Constants(view, graph)
    counted: Counter[str] = Counter()
    layers: list[PayloadLayer] = []
    for node in graph.tables(1):
        kind = _name(_OPERATORS, node.number(0, "B"))
        counted[kind] += 1
        operator = node.table(1)
        if kind in _LAYERS and operator is not None:
            layers.append(_layer(f"{kind} {len(layers)}", operator, _LAYERS[kind], values, constants))
    return Payload(operators=counted, layers=tuple(layers))


class _Constants:
    """Where constants lie in a payload; those with a key instead of an offset lie elsewhere in the program."""

    def __init__(self, data: memoryview, graph: FlatTable) -> None:
        (base,) = struct.unpack_from("<I", data, 18)
        self._data, self._budget = data, graph.budget
        self._ranges = graph.map(8, lambda item: (base + item.number(0, "Q"), item.number(1, "Q")))
        self._dead: dict[int, bool] = {}
        if sum(size for start, size in set(self._ranges) if start < len(data)) > len(data):
            raise BrokenTableError("its constants are larger than itself")

    def size(self, index: int) -> int:
        """Bytes; 0 for what is no constant."""
        return int(self._ranges[index][1]) if 0 < index < len(self._ranges) else 0

    def dead(self, index: int) -> bool:
        """Whether it lies here and is all zero."""
        if index not in self._dead:
            start, size = self._ranges[index] if self.size(index) else (0, 0)
            here = size > 0 and start + size <= len(self._data)
            self._dead[index] = here and self._all_zero(self._data[start : start + size])
        return self._dead[index]

    def _all_zero(self, data: memoryview) -> bool:
        """Stops where it is not: weights that live cost one chunk."""
        for start in range(0, len(data), _CHUNK):
            chunk = bytes(data[start : start + _CHUNK])
            self._budget.spend(_CHUNK_COST)
            if chunk.count(0) < len(chunk):
                return False
        return True


def _layer(
    name: str, operator: FlatTable, first: int, values: tuple[_Value, ...], constants: _Constants
) -> PayloadLayer:
    weight, bias, output = (_get(values, operator.number(first + i, "I")) for i in (1, 2, 3))
    if weight is None:
        raise BrokenTableError(f"{name} has no weights")
    own = {index for value in (weight, bias) if value is not None for index in (value.constant, value.scale_constant)}
    return PayloadLayer(
        name=name,
        weight_shape=weight.shape,
        weight_dtype=weight.dtype,
        constant_bytes=sum(constants.size(i) for i in own),
        weight_scales=weight.scales,
        output_scale=None if output is None else output.scale,
        dead=constants.dead(weight.constant),
    )


def _value(table: FlatTable) -> _Value:
    tensor = table.table(1)
    channels = whole = None
    if tensor is not None and table.number(0, "B") == _QUANTIZED_VALUE:
        kind, params, tensor = tensor.number(1, "B"), tensor.table(2), tensor.table(0)
        channels, whole = params if kind == _PER_CHANNEL else None, params if kind == _PER_TENSOR else None
    if tensor is None:
        raise BrokenTableError("a value without a tensor")
    return _Value(
        dtype=_name(_DATATYPES, tensor.number(0, "h")),
        shape=tensor.shape(2, "I"),
        constant=tensor.number(3, "I"),
        scales=0 if channels is None else channels.number(3, "I"),
        scale_constant=0 if channels is None else channels.number(2, "I"),
        scale=None if whole is None else (whole.real(0), whole.number(1, "i")),
    )


def _get(values: tuple[_Value, ...], index: int) -> _Value | None:
    if index == _NO_VALUE:
        return None
    if index >= len(values):
        raise BrokenTableError(f"value {index} of {len(values)}")
    return values[index]


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"number {number}"
