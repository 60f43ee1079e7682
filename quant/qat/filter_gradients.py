"""Gradients of convolution filters that do not depend on the number of threads.

oneDNN sums the gradient of a filter over the batch in as many parts as it has threads, so a network that trains on
two threads is another one than that of one thread. Here the batch is cut into parts of a fixed size, each summed on
one thread; threads share out the parts, and the parts are added up in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.common.one_thread_each import one_thread_each
from quant.common.parted_product import parted_product

aten = torch.ops.aten

_PART = 8
"""Images of a part: fewer cost a tenth more, with more a batch of 32 leaves threads idle."""

_FEW_PIXELS = 14 * 14
"""Up to which a 1x1 convolution's gradient is faster as one product."""

Geometry = tuple[Sequence[int], Sequence[int], Sequence[int], int]
"""Stride, padding, dilation, groups."""


def convolution_gradients(
    gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of a convolution's input and filters, the same to the bit on any number of CPU threads.

    Args:
        gradient: on the output, [N, C_out, H', W'].
        v: the input, [N, C_in, H, W].
        weight: the filters, [C_out, C_in / groups, k, k].
        geometry: of the convolution.

    Returns:
        Tensors of the shapes of `v` and `weight`.
    """
    if gradient.device.type != "cpu" or _within_one_thread(weight, geometry):
        return _backward(gradient, v, weight, geometry, (True, True))
    on_v, _ = _backward(gradient, v, weight, geometry, (True, False))
    return on_v, filter_gradients(gradient, v, weight, geometry)


def filter_gradients(
    gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry
) -> torch.Tensor:
    """Those of the filters alone; as `convolution_gradients`."""
    if _is_product(weight, geometry) and gradient.shape[2] * gradient.shape[3] <= _FEW_PIXELS:
        of_filters, of_pixels = (x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]) for x in (gradient, v))
        return parted_product(of_filters.T, of_pixels).view(weight.shape)
    parts = [slice(first, first + _PART) for first in range(0, len(gradient), _PART)]
    summed, *others = one_thread_each(lambda part: _of_part(gradient[part], v[part], weight, geometry), parts)
    for other in others:
        summed.add_(other)
    return summed


def _of_part(gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    return _backward(gradient, v, weight, geometry, (False, True))[1]


def _backward(
    gradient: torch.Tensor, v: torch.Tensor, weight: torch.Tensor, geometry: Geometry, wanted: tuple[bool, bool]
) -> tuple[torch.Tensor, torch.Tensor]:
    stride, padding, dilation, groups = geometry
    on_v, on_weight, _ = aten.convolution_backward(
        gradient, v, weight, None, stride, padding, dilation, False, [0, 0], groups, [*wanted, False]
    )
    return on_v, on_weight


def _within_one_thread(weight: torch.Tensor, geometry: Geometry) -> bool:
    """Whether oneDNN sums each filter within one thread: it has no kernel of its own for large depthwise ones."""
    return geometry[3] > 1 and weight.shape[2] > 3


def _is_product(weight: torch.Tensor, geometry: Geometry) -> bool:
    """Whether a convolution is a product of matrices, every pixel on its own."""
    stride, padding, _, groups = geometry
    return tuple(weight.shape[2:]) == (1, 1) and groups == 1 and set(stride) == {1} and set(padding) == {0}
