"""The stages that variants are made of: their blocks before scaling, as readable tables.

Sources: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table 1;
Tan and Le, "EfficientNetV2: Smaller Models and Faster Training" (2021), table 4, and its official code for M to XL
and B0-B3; Gupta and Akin, "Accelerator-aware Neural Network Design using AutoML" (2020) for EdgeTPU; for RW, the
networks of that name in timm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BLOCK_KINDS = ("mbconv", "fused", "conv")
"""MBConv; fused MBConv (edge residual), whose expansion is the spatial convolution; a spatial convolution alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSpec:
    """A run of blocks of one shape; only the first one changes resolution and channels."""

    kernel: int
    """Side of the spatial kernel, pixels: 3 or 5."""
    stride: int
    """Stride of the first block; the others have 1."""
    expand_ratio: int
    """Channels inside a block per channel at its input; 1 means no expansion."""
    in_channels: int
    out_channels: int
    repeats: int
    """How many blocks."""
    block: str = "mbconv"
    """One of `BLOCK_KINDS`."""
    skip: bool = True
    """Whether a block whose shapes allow it adds its input."""
    expands_outputs: bool = False
    """Whether `expand_ratio` counts from the block's outputs instead of its inputs."""

    def __post_init__(self) -> None:
        assert self.kernel % 2 == 1, "an even kernel has no centre: SAME and symmetric padding assume one"
        assert min(self.stride, self.expand_ratio, self.in_channels, self.out_channels, self.repeats) >= 1
        assert self.block in BLOCK_KINDS


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockSpec:
    """One block as built."""

    kind: str
    """One of `BLOCK_KINDS`."""
    kernel: int
    stride: int
    expands: bool
    """Whether an MBConv has an expansion; the others' spatial convolution is theirs."""
    in_channels: int
    inner_channels: int
    """Between expansion and projection."""
    squeezed_channels: int
    """Inside squeeze-excite; 0 means that there is none."""
    out_channels: int
    has_skip: bool
    """Whether the block adds its input."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockWidths:
    """Channels of one block of a pruned network, where no rule gives them."""

    inner_channels: int
    squeezed_channels: int
    out_channels: int


def round_filters(filters: int, width: float, *, limit: float = 0.9) -> int:
    """Scale a channel count and round it to a multiple of 8, never down below `limit` of it."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < limit * scaled else rounded


def round_repeats(repeats: int, depth: float) -> int:
    """Scale a block count and round it up."""
    return math.ceil(repeats * depth)


BASELINE_STAGES = (
    StageSpec(kernel=3, stride=1, expand_ratio=1, in_channels=32, out_channels=16, repeats=1),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=16, out_channels=24, repeats=2),
    StageSpec(kernel=5, stride=2, expand_ratio=6, in_channels=24, out_channels=40, repeats=2),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=40, out_channels=80, repeats=3),
    StageSpec(kernel=5, stride=1, expand_ratio=6, in_channels=80, out_channels=112, repeats=3),
    StageSpec(kernel=5, stride=2, expand_ratio=6, in_channels=112, out_channels=192, repeats=4),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=192, out_channels=320, repeats=1),
)
"""B0, the network that B1-B8, L2 and Lite scale."""

EDGETPU_STAGES = (
    StageSpec(
        block="fused",
        kernel=3,
        stride=1,
        expand_ratio=4,
        in_channels=32,
        out_channels=24,
        repeats=1,
        skip=False,
        expands_outputs=True,
    ),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=8, in_channels=24, out_channels=32, repeats=2),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=8, in_channels=32, out_channels=48, repeats=4),
    StageSpec(kernel=5, stride=2, expand_ratio=8, in_channels=48, out_channels=96, repeats=5),
    StageSpec(kernel=5, stride=1, expand_ratio=8, in_channels=96, out_channels=144, repeats=4),
    StageSpec(kernel=5, stride=2, expand_ratio=8, in_channels=144, out_channels=192, repeats=2),
)
"""EdgeTPU's small one, which medium and large scale."""

V2_BASE_STAGES = (
    StageSpec(block="conv", kernel=3, stride=1, expand_ratio=1, in_channels=32, out_channels=16, repeats=1),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=16, out_channels=32, repeats=2),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=32, out_channels=48, repeats=2),
    StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=48, out_channels=96, repeats=3),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=96, out_channels=112, repeats=5),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=112, out_channels=192, repeats=8),
)
"""V2's B0, which B1-B3 scale."""

V2_S_STAGES = (
    StageSpec(block="conv", kernel=3, stride=1, expand_ratio=1, in_channels=24, out_channels=24, repeats=2),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=24, out_channels=48, repeats=4),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=48, out_channels=64, repeats=4),
    StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=64, out_channels=128, repeats=6),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=128, out_channels=160, repeats=9),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=160, out_channels=256, repeats=15),
)

V2_RW_STAGES = (
    StageSpec(block="fused", kernel=3, stride=1, expand_ratio=1, in_channels=24, out_channels=24, repeats=2),
    *V2_S_STAGES[1:5],
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=160, out_channels=272, repeats=15),
)
"""timm's V2-S from before the official one was published."""

V2_RW_M_STAGES = (
    StageSpec(block="fused", kernel=3, stride=1, expand_ratio=1, in_channels=24, out_channels=24, repeats=3),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=24, out_channels=48, repeats=5),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=48, out_channels=64, repeats=5),
    StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=64, out_channels=128, repeats=8),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=128, out_channels=160, repeats=15),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=160, out_channels=272, repeats=24),
)
"""Repeats as built (timm scales its last two stages more than the others); channels are scaled by 1.2."""

V2_M_STAGES = (
    StageSpec(block="conv", kernel=3, stride=1, expand_ratio=1, in_channels=24, out_channels=24, repeats=3),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=24, out_channels=48, repeats=5),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=48, out_channels=80, repeats=5),
    StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=80, out_channels=160, repeats=7),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=160, out_channels=176, repeats=14),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=176, out_channels=304, repeats=18),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=304, out_channels=512, repeats=5),
)

V2_L_STAGES = (
    StageSpec(block="conv", kernel=3, stride=1, expand_ratio=1, in_channels=32, out_channels=32, repeats=4),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=32, out_channels=64, repeats=7),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=64, out_channels=96, repeats=7),
    StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=96, out_channels=192, repeats=10),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=192, out_channels=224, repeats=19),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=224, out_channels=384, repeats=25),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=384, out_channels=640, repeats=7),
)

V2_XL_STAGES = (
    StageSpec(block="conv", kernel=3, stride=1, expand_ratio=1, in_channels=32, out_channels=32, repeats=4),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=32, out_channels=64, repeats=8),
    StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=64, out_channels=96, repeats=8),
    StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=96, out_channels=192, repeats=16),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=192, out_channels=256, repeats=24),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=256, out_channels=512, repeats=32),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=512, out_channels=640, repeats=8),
)
