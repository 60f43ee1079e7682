"""Gradients of convolution filters that do not depend on the number of threads.

oneDNN sums the gradient of a filter over the batch in as many parts as it has threads, so a network that trains on
two threads is another one than that of one thread. Here the batch is cut into parts of a fixed size, each summed on
one thread; threads share out the parts, and the parts are added up in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.one_thread_each import one_thread_each

aten = torch.ops.aten

_PART = 4
"""Photographs of a part: a batch of 32 keeps eight threads busy."""

Geometry = tuple[Sequence[int], Sequence[int], Sequence[int], int]
"""Stride, padding, dilation, groups."""


def filter_gradients(
    gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry
) -> torch.Tensor:
    """Gradient of a convolution's filters, the same to the bit on any number of CPU threads.

    Args:
        gradient: on the output, [N, C_out, H', W'].
        v: the input, [N, C_in, H, W].
        weight: the filters, [C_out, C_in / groups, k, k]; only their shape matters.
        geometry: of the convolution.

    Returns:
        A tensor of the weight's shape.
    """
    if gradient.device.type != "cpu":
        return _of_part(gradient, v, weight, geometry)
    parts = [slice(first, first + _PART) for first in range(0, len(gradient), _PART)]
    summed, *others = one_thread_each(lambda part: _of_part(gradient[part], v[part], weight, geometry), parts)
    for other in others:
        summed.add_(other)
    return summed


def _of_part(gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    stride, padding, dilation, groups = geometry
    _, on_weight, _ = aten.convolution_backward(
        gradient, v, weight, None, stride, padding, dilation, False, [0, 0], groups, [False, True, False]
    )
    assert isinstance(on_weight, torch.Tensor)
    return on_weight
