"""Builds one XNNPACK delegate: values, constants and nodes in the schema that ExecuTorch's runtime reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import Range, TensorScale

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import serialize_xnnpack_binary
    from executorch.backends.xnnpack.utils.xnnpack_constants import (
        UINT32_MAX,
        XNN_INVALID_VALUE_ID,
        XNN_VALUE_FLAG_EXTERNAL_INPUT,
        XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
    )

_Type = schema.XNNDatatype

# XNNPACK wants its constants aligned for vector loads.
_CONSTANT_ALIGNMENT = 16

MOST_PARTS = 5
"""Tensors that one operator puts side by side."""


@dataclass(slots=True)
class DelegateBuilder:
    """Collects an XNNPACK subgraph. Value ids are dense integers, in order of definition."""

    half: bool = False
    """Whether float tensors and constants inside the delegate are fp16; what crosses its border stays fp32."""
    nodes: list[schema.XNode] = field(default_factory=list)
    values: list[schema.XValue] = field(default_factory=list)
    _inputs: list[int] = field(default_factory=list)
    _outputs: list[int] = field(default_factory=list)
    _constants: list[schema.ConstantDataOffset] = field(
        # Index 0 is the schema's "not a constant".
        default_factory=lambda: [_inline_constant(0, 0)]
    )
    _blob: bytearray = field(default_factory=bytearray)
    _constant_of: dict[bytes, int] = field(default_factory=dict)

    def tensor(self, shape: tuple[int, ...], scale: TensorScale | None, *, flags: int = 0) -> int:
        """Define an activation: int8 with a `TensorScale`, else float; with `flags` one of the caller's."""
        if scale is None:
            return self._define(shape, self._float(wide=bool(flags)), flags=flags)
        params = schema.PerTensorQuant(scale=scale.scale, zero_point=scale.zero_point)
        return self._define(shape, _Type.xnn_datatype_qint8, params, flags=flags)

    def external_input(self, shape: tuple[int, ...]) -> int:
        """Define the float32 tensor that the caller passes in."""
        self._inputs.append(self.tensor(shape, None, flags=XNN_VALUE_FLAG_EXTERNAL_INPUT))
        return self._inputs[-1]

    def external_pixels(self, shape: tuple[int, ...], scale: float = 1.0) -> int:
        """Define the uint8 tensor that the caller passes in; its values stand for themselves times a scale."""
        params = schema.PerTensorQuant(scale=scale, zero_point=0)
        self._inputs.append(
            self._define(shape, _Type.xnn_datatype_quint8, params, flags=XNN_VALUE_FLAG_EXTERNAL_INPUT)
        )
        return self._inputs[-1]

    def external_output(self, shape: tuple[int, ...], scale: TensorScale | None = None) -> int:
        """Define the tensor that the caller gets: int8 with a `TensorScale`, else float32."""
        self._outputs.append(self.tensor(shape, scale, flags=XNN_VALUE_FLAG_EXTERNAL_OUTPUT))
        return self._outputs[-1]

    def dynamic_tensor(self, shape: tuple[int, ...]) -> int:
        """Define an int8 activation whose scale the runtime finds again for each row."""
        return self._define(shape, _Type.xnn_datatype_qdint8, schema.PerTokenDynamicQuant(num_nonbatch_dims=1))

    def float_constant(self, data: torch.Tensor, *, wide: bool = False) -> int:
        """Define a float constant; `wide` keeps it fp32 where the rest is fp16."""
        datatype = self._float(wide=wide)
        constant = self._constant(data.to(torch.float16 if datatype is _Type.xnn_datatype_fp16 else torch.float32))
        return self._define(tuple(data.shape), datatype, constant=constant)

    def channelwise_constant(self, data: torch.Tensor, scales: torch.Tensor, channel_dim: int) -> int:
        """Define int8 weights or an int32 bias with one scale a channel.

        Args:
            data: int8 or int32 values in XNNPACK's layout.
            scales: float32, [channels].
            channel_dim: which dimension of `data` the scales run along.
        """
        datatypes = {torch.int8: _Type.xnn_datatype_qcint8, torch.int32: _Type.xnn_datatype_qcint32}
        params = schema.PerChannelQuant(
            # They are in the buffer: an empty list would be a dozen bytes of each layer.
            scale=None,
            channel_dim=channel_dim,
            scale_buffer_idx=self._constant(scales.to(torch.float32)),
            num_scales=scales.numel(),
        )
        return self._define(tuple(data.shape), datatypes[data.dtype], params, constant=self._constant(data))

    def add(
        self, kind: Any, *sources: int, to: int, limits: Range | None = None, flags: int = 0, **settings: Any
    ) -> None:
        """Append an operator.

        Args:
            kind: of the schema.
            sources: ids of what it reads.
            to: id of what it writes.
            limits: clamp its output (a fused ReLU or ReLU6), in real units.
            flags: of XNNPACK.
            settings: the operator's other fields.
        """
        single = "input_id" in kind.__dataclass_fields__
        names = ["input_id"] if single else [f"input{place}_id" for place in range(1, len(sources) + 1)]
        settings |= dict(zip(names, sources, strict=True))
        ends = None
        if limits is not None:
            low, high = ("-inf" if v == -torch.inf else "+inf" if v == torch.inf else v for v in limits)
            ends = schema.OutputMinMax(output_min=low, output_max=high)
        # No handle: it would be four bytes of each operator, and names no node that a reader of the file has.
        operator = kind(output_id=to, flags=flags, **settings)
        self.nodes.append(schema.XNode(xnode_union=operator, debug_handle=0, output_min_max=ends))

    def serialize(self) -> bytes:
        """Return the delegate's bytes: flatbuffer and constants.

        The constants travel inside the delegate, not in the program's named-data table: two 64-character
        keys for each of some 300 constants would be a tenth of what int8 saves elsewhere.
        """
        graph = schema.XNNGraph(
            version="0",
            xnodes=self.nodes,
            xvalues=self.values,
            num_externs=len(self._inputs) + len(self._outputs),
            input_ids=self._inputs,
            output_ids=self._outputs,
            constant_data=self._constants,
        )
        return bytes(serialize_xnnpack_binary(graph, self._blob))

    def _float(self, *, wide: bool) -> schema.XNNDatatype:
        return _Type.xnn_datatype_fp16 if self.half and not wide else _Type.xnn_datatype_fp32

    def _define(
        self,
        shape: tuple[int, ...],
        datatype: schema.XNNDatatype,
        params: Any = None,
        *,
        constant: int = 0,
        flags: int = 0,
    ) -> int:
        tensor = schema.XNNTensorValue(
            datatype=datatype,
            num_dims=len(shape),
            dims=list(shape),
            # Only what crosses the delegate's border has flags.
            external_id=len(self._inputs) + len(self._outputs) if flags else UINT32_MAX,
            constant_buffer_idx=constant,
            flags=flags,
            id_out=len(self.values),
        )
        union = tensor
        if params is not None:
            union = schema.XNNQuantizedTensorValue(tensor_value=tensor, quant_params=params)
        self.values.append(schema.XValue(xvalue_union=union))
        return len(self.values) - 1

    def _constant(self, data: torch.Tensor) -> int:
        """Store bytes once, however many values share them (a bias shares its weights' scales)."""
        raw = data.detach().contiguous().numpy().tobytes()
        key = hashlib.sha256(raw).digest()
        if key not in self._constant_of:
            self._blob.extend(b"\0" * (-len(self._blob) % _CONSTANT_ALIGNMENT))
            self._constant_of[key] = len(self._constants)
            self._constants.append(_inline_constant(len(self._blob), len(raw)))
            self._blob.extend(raw)
        return self._constant_of[key]


def _inline_constant(offset: int, size: int) -> schema.ConstantDataOffset:
    """A constant at `offset` of the delegate's own blob; any key, even an empty one, would mean named data."""
    return schema.ConstantDataOffset(offset=offset, size=size, named_key=None)


def concatenate(
    builder: DelegateBuilder, parts: Sequence[int], shape: tuple[int, ...], axis: int, scale: TensorScale | None
) -> int:
    """Put tensors side by side.

    Args:
        builder: of the delegate.
        parts: ids of two to `MOST_PARTS` tensors of one scale.
        shape: of the result.
        axis: along which they lie.
        scale: of all of them; None in float.

    Returns:
        Id of the result.
    """
    result = builder.tensor(shape, scale)
    unused = [XNN_INVALID_VALUE_ID] * (MOST_PARTS - len(parts))
    builder.add(getattr(schema, f"XNNConcatenate{len(parts)}"), *parts, *unused, to=result, axis=axis)
    return result


_GEOMETRY = (
    *("group_input_channels", "group_output_channels", "kernel_height", "kernel_width"),
    *("subsampling_height", "subsampling_width", "dilation_height", "dilation_width"),
    *("padding_left", "padding_right", "padding_top", "padding_bottom"),
)


def convolution(
    *,
    channels: tuple[int, int],
    groups: int = 1,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> dict[str, Any]:
    """Settings of a convolution of tensors [N, H, W, C], for `DelegateBuilder.add`.

    Its filter lies as [out, H, W, in]; `XNNDepthwiseConv2d`, for groups of one channel, wants [1, H, W, channels].

    Args:
        channels: inputs and outputs of each group.
        groups: how many.
        kernel: height and width.
        stride: of rows and columns.
        dilation: likewise.
        padding: left, right, top, bottom.
    """
    geometry = dict(zip(_GEOMETRY, (*channels, *kernel, *stride, *dilation, *padding), strict=True))
    return {**geometry, "groups": groups, "adjustment_height": 0, "adjustment_width": 0}


def depthwise_pixel(
    builder: DelegateBuilder, source: int, result: int, weight: torch.Tensor, bias: torch.Tensor
) -> None:
    """Multiply and shift each channel of a float tensor [N, H, W, C]: a depthwise convolution of one pixel."""
    builder.add(
        schema.XNNDepthwiseConv2d,
        source,
        to=result,
        filter_id=builder.float_constant(weight.to(torch.float32).view(1, 1, 1, -1), wide=True),
        bias_id=builder.float_constant(bias.to(torch.float32), wide=True),
        **convolution(channels=(1, 1), groups=len(weight)),
    )
