"""Padding of strided convolutions: TensorFlow's "SAME", fixed or as the input comes, and symmetric.

All modes give `ceil(size / stride)` outputs. They differ only where the stride is above 1 and the side of the
input is even: SAME then pads one pixel less before than after, symmetric padding shifts the image. The
weights' origin decides which one is right; the wrong one loses accuracy without an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import nn
from torch.nn import functional as F

from edge_effnet.errors import InputError


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: zeros (before, after) a side of `size` pixels; after is before, or one more."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@overload
def output_image_size(size: int, strides: Sequence[int]) -> int: ...


@overload
def output_image_size(size: tuple[int, int], strides: Sequence[int]) -> tuple[int, int]: ...


def output_image_size(size: int | tuple[int, int], strides: Sequence[int]) -> int | tuple[int, int]:
    """Side (or height and width) of the output of a chain of padded convolutions, pixels; any padding mode.

    Raises:
        InputError: a size or a stride below 1.
    """
    if isinstance(size, tuple):
        height, width = size
        return output_image_size(height, strides), output_image_size(width, strides)
    if size < 1 or any(stride < 1 for stride in strides):
        raise InputError(f"image size {size} and strides {list(strides)}: need numbers of at least 1.")
    for stride in strides:
        size = -(-size // stride)
    return size


class SamePadding(nn.Module):
    """Zero padding as TensorFlow's SAME, computed from the input as it comes."""

    def __init__(self, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: [N, C, H, W] -> [N, C, H + padding, W + padding]."""
        top, bottom = same_padding(x.shape[-2], self.kernel, self.stride)
        left, right = same_padding(x.shape[-1], self.kernel, self.stride)
        return F.pad(x, (left, right, top, bottom))

    def extra_repr(self) -> str:
        """Arguments, as `print(model)` shows them."""
        return f"kernel={self.kernel}, stride={self.stride}"


PADDINGS = ("same", "same-static", "symmetric")


def make_padding(name: str, *, kernel: int, stride: int, size: int) -> tuple[nn.Module, int]:
    """Build one convolution's padding: what runs before it (`nn.Identity` if nothing), and its own `padding`.

    Args:
        name: one of `PADDINGS`.
        kernel: odd side of the kernel, pixels.
        stride: along both sides.
        size: side of the input that static padding is computed for, pixels.

    Raises:
        InputError: unknown mode; the message lists the known ones.
    """
    if name not in PADDINGS:
        raise InputError(f"unknown padding {name!r}; choose one of {', '.join(PADDINGS)}.")
    # Of stride 1 SAME adds kernel - 1 zeros whatever the size: an even number, which the convolution adds by itself.
    if name == "symmetric" or (name == "same" and stride == 1):
        return nn.Identity(), kernel // 2
    if name == "same":
        return SamePadding(kernel=kernel, stride=stride), 0
    before, after = same_padding(size, kernel, stride)
    return (nn.Identity(), before) if before == after else (nn.ZeroPad2d((before, after, before, after)), 0)
