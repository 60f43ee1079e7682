"""Builds one XNNPACK delegate: values, constants and nodes in the schema that ExecuTorch's runtime reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import TensorScale

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema
    from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import serialize_xnnpack_binary
    from executorch.backends.xnnpack.utils.xnnpack_constants import (
        UINT32_MAX,
        XNN_INVALID_VALUE_ID,
        XNN_VALUE_FLAG_EXTERNAL_INPUT,
        XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
    )

# XNNPACK wants its constants aligned for vector loads.
_CONSTANT_ALIGNMENT = 16

_CONCATENATIONS = {
    2: schema.XNNConcatenate2,
    3: schema.XNNConcatenate3,
    4: schema.XNNConcatenate4,
    5: schema.XNNConcatenate5,
}

MOST_PARTS = max(_CONCATENATIONS)
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

    def tensor(self, shape: tuple[int, ...], scale: TensorScale | None) -> int:
        """Define an activation inside the delegate: int8 with a `TensorScale`, else float."""
        return self._define(shape, scale=scale)

    def external_input(self, shape: tuple[int, ...]) -> int:
        """Define the float32 tensor that the caller passes in."""
        value = self._define(shape, external=self._externals, flags=XNN_VALUE_FLAG_EXTERNAL_INPUT)
        self._inputs.append(value)
        return value

    def external_pixels(self, shape: tuple[int, ...], scale: float = 1.0) -> int:
        """Define the uint8 tensor that the caller passes in; its values stand for themselves times a scale."""
        tensor = self._tensor_value(
            shape,
            schema.XNNDatatype.xnn_datatype_quint8,
            constant=0,
            external=self._externals,
            flags=XNN_VALUE_FLAG_EXTERNAL_INPUT,
        )
        params = schema.PerTensorQuant(scale=scale, zero_point=0)
        value = self._append(schema.XNNQuantizedTensorValue(tensor_value=tensor, quant_params=params))
        self._inputs.append(value)
        return value

    def external_output(self, shape: tuple[int, ...], scale: TensorScale | None = None) -> int:
        """Define the tensor that the caller gets: int8 with a `TensorScale`, else float32."""
        value = self._define(shape, scale=scale, external=self._externals, flags=XNN_VALUE_FLAG_EXTERNAL_OUTPUT)
        self._outputs.append(value)
        return value

    def float_constant(self, data: torch.Tensor, *, wide: bool = False) -> int:
        """Define a float constant; `wide` keeps it fp32 where the rest is fp16."""
        half = self.half and not wide
        datatype = schema.XNNDatatype.xnn_datatype_fp16 if half else schema.XNNDatatype.xnn_datatype_fp32
        constant = self._constant(data.to(torch.float16 if half else torch.float32))
        return self._append(
            self._tensor_value(tuple(data.shape), datatype, constant=constant, external=UINT32_MAX, flags=0)
        )

    def dynamic_tensor(self, shape: tuple[int, ...]) -> int:
        """Define an int8 activation whose scale the runtime finds again for each row."""
        tensor = self._tensor_value(
            shape, schema.XNNDatatype.xnn_datatype_qdint8, constant=0, external=UINT32_MAX, flags=0
        )
        params = schema.PerTokenDynamicQuant(num_nonbatch_dims=1)
        return self._append(schema.XNNQuantizedTensorValue(tensor_value=tensor, quant_params=params))

    def channelwise_constant(self, data: torch.Tensor, scales: torch.Tensor, channel_dim: int) -> int:
        """Define int8 weights or an int32 bias with one scale a channel.

        Args:
            data: int8 or int32 values in XNNPACK's layout.
            scales: float32, [channels].
            channel_dim: which dimension of `data` the scales run along.
        """
        datatypes = {
            torch.int8: schema.XNNDatatype.xnn_datatype_qcint8,
            torch.int32: schema.XNNDatatype.xnn_datatype_qcint32,
        }
        params = schema.PerChannelQuant(
            # They are in the buffer: an empty list would be a dozen bytes of each layer.
            scale=None,
            channel_dim=channel_dim,
            scale_buffer_idx=self._constant(scales.to(torch.float32)),
            num_scales=scales.numel(),
        )
        tensor = self._tensor_value(
            tuple(data.shape), datatypes[data.dtype], constant=self._constant(data), external=UINT32_MAX, flags=0
        )
        return self._append(schema.XNNQuantizedTensorValue(tensor_value=tensor, quant_params=params))

    def add_node(self, node: Any, output_range: tuple[float, float] | None = None) -> None:
        """Append an operator; `output_range` clamps its output (a fused ReLU or ReLU6), in real units."""
        limits = None
        if output_range is not None:
            low, high = ("-inf" if v == -torch.inf else "+inf" if v == torch.inf else v for v in output_range)
            limits = schema.OutputMinMax(output_min=low, output_max=high)
        # No handle: it would be four bytes of each operator, and names no node that a reader of the file has.
        self.nodes.append(schema.XNode(xnode_union=node, debug_handle=0, output_min_max=limits))

    def serialize(self) -> bytes:
        """Return the delegate's bytes: flatbuffer and constants.

        The constants travel inside the delegate, not in the program's named-data table: two 64-character
        keys for each of some 300 constants would be a tenth of what int8 saves elsewhere.
        """
        graph = schema.XNNGraph(
            version="0",
            xnodes=self.nodes,
            xvalues=self.values,
            num_externs=self._externals,
            input_ids=self._inputs,
            output_ids=self._outputs,
            constant_data=self._constants,
        )
        return bytes(serialize_xnnpack_binary(graph, self._blob))

    @property
    def _externals(self) -> int:
        return len(self._inputs) + len(self._outputs)

    def _define(
        self,
        shape: tuple[int, ...],
        *,
        scale: TensorScale | None = None,
        constant: int = 0,
        external: int = UINT32_MAX,
        flags: int = 0,
    ) -> int:
        half = self.half and external == UINT32_MAX
        floating = schema.XNNDatatype.xnn_datatype_fp16 if half else schema.XNNDatatype.xnn_datatype_fp32
        datatype = floating if scale is None else schema.XNNDatatype.xnn_datatype_qint8
        tensor = self._tensor_value(shape, datatype, constant=constant, external=external, flags=flags)
        if scale is None:
            return self._append(tensor)
        params = schema.PerTensorQuant(scale=scale.scale, zero_point=scale.zero_point)
        return self._append(schema.XNNQuantizedTensorValue(tensor_value=tensor, quant_params=params))

    def _tensor_value(
        self, shape: tuple[int, ...], datatype: schema.XNNDatatype, *, constant: int, external: int, flags: int
    ) -> schema.XNNTensorValue:
        return schema.XNNTensorValue(
            datatype=datatype,
            num_dims=len(shape),
            dims=list(shape),
            external_id=external,
            constant_buffer_idx=constant,
            flags=flags,
            id_out=len(self.values),
        )

    def _append(self, value: Any) -> int:
        self.values.append(schema.XValue(xvalue_union=value))
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
    ids = {f"input{place}_id": part for place, part in enumerate([*parts, *unused], start=1)}
    builder.add_node(_CONCATENATIONS[len(parts)](axis=axis, output_id=result, flags=0, **ids))
    return result


def convolution(
    *,
    source: int,
    result: int,
    filter_id: int,
    bias_id: int,
    channels: tuple[int, int],
    groups: int = 1,
    depthwise: bool = False,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> schema.XNNConv2d | schema.XNNDepthwiseConv2d:
    """A convolution of tensors [N, H, W, C].

    Args:
        source: id of the input.
        result: id of the output.
        filter_id: [out, H, W, in], or [1, H, W, channels] where `depthwise`.
        bias_id: of the bias.
        channels: inputs and outputs of each group.
        groups: how many.
        depthwise: whether it is XNNPACK's operator for groups of one channel.
        kernel: height and width.
        stride: of rows and columns.
        dilation: likewise.
        padding: left, right, top, bottom.
    """
    kind = schema.XNNDepthwiseConv2d if depthwise else schema.XNNConv2d
    left, right, top, bottom = padding
    return kind(
        padding_top=top,
        padding_right=right,
        padding_bottom=bottom,
        padding_left=left,
        kernel_height=kernel[0],
        kernel_width=kernel[1],
        subsampling_height=stride[0],
        subsampling_width=stride[1],
        dilation_height=dilation[0],
        dilation_width=dilation[1],
        group_input_channels=channels[0],
        group_output_channels=channels[1],
        groups=groups,
        adjustment_height=0,
        adjustment_width=0,
        input1_id=source,
        filter_id=filter_id,
        bias_id=bias_id,
        output_id=result,
        flags=0,
    )


def depthwise_pixel(
    builder: DelegateBuilder, source: int, result: int, weight: torch.Tensor, bias: torch.Tensor
) -> schema.XNNDepthwiseConv2d:
    """A product and a sum for each channel of a float tensor [N, H, W, C]: a depthwise convolution of one pixel."""
    return convolution(
        source=source,
        result=result,
        filter_id=builder.float_constant(weight.to(torch.float32).view(1, 1, 1, -1), wide=True),
        bias_id=builder.float_constant(bias.to(torch.float32), wide=True),
        channels=(1, 1),
        groups=len(weight),
        depthwise=True,
    )
