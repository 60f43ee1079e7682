"""Pixels in, normalised tensor out, inside the program: what `--embed-preprocess` puts before the network."""

from __future__ import annotations

import torch

from quant.common.quiet import quiet_libraries
from quant.lower.options import Normalization
from quant.lower.xnnpack.delegate import DelegateBuilder

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema


def emit_pixels(builder: DelegateBuilder, shape: tuple[int, ...], normalization: Normalization) -> int:
    """Define a uint8 input and the float32 tensor that the network reads, both [1, H, W, 3].

    `((pixel / 255) - mean) / std` as one product and sum a channel: a depthwise 1x1 convolution, because the runtime
    gives constants back to the system that no kernel has packed. It rounds once where three steps round thrice; the
    tensor is within 1e-6 of theirs.

    Args:
        builder: of the delegate, whose float tensors are fp32.
        shape: [1, H, W, 3].
        normalization: of the network.

    Returns:
        Id of the float32 tensor.
    """
    pixels, wide, result = builder.external_pixels(shape), builder.tensor(shape, None), builder.tensor(shape, None)
    builder.add_node(schema.XNNConvert(input_id=pixels, output_id=wide, flags=0))
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (normalization.mean, normalization.std))
    builder.add_node(
        schema.XNNDepthwiseConv2d(
            padding_top=0,
            padding_right=0,
            padding_bottom=0,
            padding_left=0,
            kernel_height=1,
            kernel_width=1,
            subsampling_height=1,
            subsampling_width=1,
            dilation_height=1,
            dilation_width=1,
            group_input_channels=1,
            group_output_channels=1,
            groups=3,
            adjustment_height=0,
            adjustment_width=0,
            input1_id=wide,
            filter_id=builder.float_constant((1 / (255 * std)).to(torch.float32).view(1, 1, 1, 3)),
            bias_id=builder.float_constant((-mean / std).to(torch.float32)),
            output_id=result,
            flags=0,
        )
    )
    return result
