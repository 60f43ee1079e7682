from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from edge_effnet import InputError, output_image_size
from edge_effnet.padding import PADDINGS, make_padding, same_padding

SIZES = st.integers(min_value=1, max_value=64)
KERNELS = st.sampled_from([1, 3, 5, 7])
STRIDES = st.sampled_from([1, 2, 3])


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (224, 3, 2, (0, 1)),
        (225, 3, 2, (1, 1)),
        (112, 5, 2, (1, 2)),
        (7, 5, 1, (2, 2)),
        (1, 3, 2, (1, 1)),
        (2, 5, 2, (1, 2)),
        (10, 1, 2, (0, 0)),  # a stride wider than the kernel needs none
    ],
)
def test_same_padding(size: int, kernel: int, stride: int, expected: tuple[int, int]) -> None:
    assert same_padding(size, kernel, stride) == expected


def convolve(mode: str, x: torch.Tensor, kernel: torch.Tensor, stride: int, size: int) -> torch.Tensor:
    pad, padding = make_padding(mode, kernel=kernel.shape[-1], stride=stride, size=size)
    return F.conv2d(pad(x), kernel, stride=stride, padding=padding)


@given(height=SIZES, width=SIZES, kernel=KERNELS, stride=STRIDES)
def test_dynamic_same_equals_its_definition(height: int, width: int, kernel: int, stride: int) -> None:
    """Output i reads kernel pixels from i * stride - before on, zeros outside: summed up pixel by pixel."""
    generator = torch.Generator().manual_seed(height * 64 + width)
    x = torch.randn(1, 1, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(1, 1, kernel, kernel, generator=generator, dtype=torch.float64)
    margin = kernel + stride
    padded = F.pad(x, [margin] * 4)
    top, left = (margin - same_padding(side, kernel, stride)[0] for side in (height, width))
    expected = torch.stack(
        [
            torch.stack(
                [
                    (padded[0, 0, i : i + kernel, j : j + kernel] * weight[0, 0]).sum()
                    for j in range(left, left + width, stride)
                ]
            )
            for i in range(top, top + height, stride)
        ]
    )
    torch.testing.assert_close(convolve("same", x, weight, stride, size=1)[0, 0], expected)


@given(size=SIZES, kernel=KERNELS, stride=STRIDES)
def test_static_equals_dynamic_at_every_size(size: int, kernel: int, stride: int) -> None:
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(size))
    weight = torch.randn(1, 1, kernel, kernel, generator=torch.Generator().manual_seed(kernel))
    static = convolve("same-static", x, weight, stride, size=size)
    assert torch.equal(static, convolve("same", x, weight, stride, size=size))


@given(size=SIZES, kernel=KERNELS, stride=STRIDES)
def test_every_mode_gives_the_same_size(size: int, kernel: int, stride: int) -> None:
    x, weight = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
    side = output_image_size(size, (stride,))
    for mode in PADDINGS:
        assert convolve(mode, x, weight, stride, size=size).shape == (1, 1, side, side)


def test_symmetric_differs_from_same_exactly_where_the_side_is_even() -> None:
    weight = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    for size in range(4, 12):
        x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(size))
        symmetric, same = (convolve(mode, x, weight, 2, size=size) for mode in ("symmetric", "same"))
        assert torch.equal(symmetric, same) == (size % 2 == 1)


@pytest.mark.parametrize("mode", PADDINGS)
def test_stride_1_needs_no_operation_of_its_own(mode: str) -> None:
    pad, padding = make_padding(mode, kernel=5, stride=1, size=14)
    assert (type(pad), padding) == (nn.Identity, 2)


def test_output_image_size() -> None:
    assert output_image_size(224, (2, 1, 2, 2, 2, 1, 2, 1)) == 7
    assert output_image_size(225, (2,)) == 113
    assert output_image_size((224, 195), (2, 2)) == (56, 49)
    assert output_image_size(33, ()) == 33
    with pytest.raises(InputError, match="image size 0"):
        output_image_size(0, (2,))
    with pytest.raises(InputError, match=r"strides \[2, 0\]"):
        output_image_size(224, (2, 0))


def test_unknown_modes_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown padding 'valid'; choose one of same, same-static, symmetric"):
        make_padding("valid", kernel=3, stride=2, size=8)
