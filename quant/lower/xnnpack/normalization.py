"""Pixels in, normalised tensor out, inside the program: what `--embed-preprocess` puts before the network."""

from __future__ import annotations

import torch

from quant.common.quiet import quiet_libraries
from quant.lower.options import Normalization
from quant.lower.xnnpack.delegate import DelegateBuilder, depthwise_pixel

with quiet_libraries():
    from executorch.backends.xnnpack.serialization import xnnpack_graph_schema as schema


def emit_pixels(builder: DelegateBuilder, shape: tuple[int, ...], normalization: Normalization) -> int:
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
    builder.add_node(schema.XNNConvert(input_id=pixels, output_id=wide, flags=0))
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (normalization.mean, normalization.std))
    builder.add_node(depthwise_pixel(builder, wide, result, 1 / (255 * std), -mean / std))
    return result
