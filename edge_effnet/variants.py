"""The variants of EfficientNet as one readable table, and compound scaling.

Sources: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table
1 and equation 3; Xie et al., "Adversarial Examples Improve Image Recognition" (2020) for B8; Xie et al.,
"Self-training with Noisy Student" (2020) for L2; Google's EfficientNet-Lite release notes for Lite0-Lite4.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSpec:
    """A run of MBConv blocks of one shape; only the first one changes resolution and channels."""

    kernel: int
    """Side of the depthwise kernel, pixels: 3 or 5."""
    stride: int
    """Stride of the first block; the others have 1."""
    expand_ratio: int
    """Channels inside a block per channel at its input; 1 means no expansion."""
    in_channels: int
    out_channels: int
    repeats: int
    """How many blocks."""

    def __post_init__(self) -> None:
        assert self.kernel % 2 == 1, "an even kernel has no centre: SAME and symmetric padding assume one"
        assert min(self.stride, self.expand_ratio, self.in_channels, self.out_channels, self.repeats) >= 1


BASELINE_STAGES = (
    StageSpec(kernel=3, stride=1, expand_ratio=1, in_channels=32, out_channels=16, repeats=1),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=16, out_channels=24, repeats=2),
    StageSpec(kernel=5, stride=2, expand_ratio=6, in_channels=24, out_channels=40, repeats=2),
    StageSpec(kernel=3, stride=2, expand_ratio=6, in_channels=40, out_channels=80, repeats=3),
    StageSpec(kernel=5, stride=1, expand_ratio=6, in_channels=80, out_channels=112, repeats=3),
    StageSpec(kernel=5, stride=2, expand_ratio=6, in_channels=112, out_channels=192, repeats=4),
    StageSpec(kernel=3, stride=1, expand_ratio=6, in_channels=192, out_channels=320, repeats=1),
)
"""B0, the network that every variant scales."""

BASELINE_STEM_CHANNELS = 32
BASELINE_HEAD_CHANNELS = 1280


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantSpec:
    """One EfficientNet: the baseline, scaled in width, depth and resolution together."""

    name: str
    """Its key in `VARIANTS`."""
    width: float
    """Multiplies channel counts, see `round_filters`."""
    depth: float
    """Multiplies block counts, see `round_repeats`."""
    resolution: int
    """Side of the images that it was designed for, pixels."""
    dropout: float
    """Rate of the dropout before the classifier, 0..1."""
    activation: str = "swish"
    """A key of `edge_effnet.activations.ACTIVATIONS`."""
    squeeze_excite: float = 0.25
    """Squeezed channels per input channel of the block; 0 means no squeeze-excite."""
    fixed_ends: bool = False
    """Lite: channels of stem and head, and repeats of the first and last stage, are not scaled."""
    stages: tuple[StageSpec, ...] = BASELINE_STAGES
    """Before scaling; `scaled_stages` gives them as built."""

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.depth > 0 and self.resolution > 0):
            raise InputError(
                f"variant {self.name!r}: width {self.width}, depth {self.depth} and resolution "
                f"{self.resolution} must all be above 0."
            )
        if not (0 <= self.dropout < 1 and 0 <= self.squeeze_excite <= 1):
            raise InputError(
                f"variant {self.name!r}: dropout {self.dropout} must be in [0, 1) and squeeze_excite "
                f"{self.squeeze_excite} in [0, 1]."
            )

    @property
    def stem_channels(self) -> int:
        """Channels after the stem."""
        return BASELINE_STEM_CHANNELS if self.fixed_ends else round_filters(BASELINE_STEM_CHANNELS, self.width)

    @property
    def head_channels(self) -> int:
        """Channels of the features, before the classifier."""
        return BASELINE_HEAD_CHANNELS if self.fixed_ends else round_filters(BASELINE_HEAD_CHANNELS, self.width)

    @property
    def blocks(self) -> int:
        """How many MBConv blocks the whole network has."""
        return sum(stage.repeats for stage in self.scaled_stages)

    @property
    def scaled_stages(self) -> tuple[StageSpec, ...]:
        """The stages with this variant's channels and repeats."""
        last = len(self.stages) - 1
        scaled: list[StageSpec] = []
        in_channels = self.stem_channels
        for index, stage in enumerate(self.stages):
            fixed = self.fixed_ends and index in (0, last)
            out_channels = round_filters(stage.out_channels, self.width)
            scaled.append(
                replace(
                    stage,
                    in_channels=in_channels,
                    out_channels=out_channels,
                    repeats=stage.repeats if fixed else round_repeats(stage.repeats, self.depth),
                )
            )
            in_channels = out_channels
        return tuple(scaled)


def round_filters(filters: int, width: float, divisor: int = 8) -> int:
    """Scale a channel count and round it to a multiple of `divisor`, never down by more than 10 %."""
    scaled = filters * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def round_repeats(repeats: int, depth: float) -> int:
    """Scale a block count and round it up."""
    return math.ceil(repeats * depth)


def _lite(name: str, *, width: float, depth: float, resolution: int, dropout: float) -> VariantSpec:
    return VariantSpec(
        name=name,
        width=width,
        depth=depth,
        resolution=resolution,
        dropout=dropout,
        activation="relu6",
        squeeze_excite=0.0,
        fixed_ends=True,
    )


VARIANTS: dict[str, VariantSpec] = {
    "b0": VariantSpec(name="b0", width=1.0, depth=1.0, resolution=224, dropout=0.2),
    "b1": VariantSpec(name="b1", width=1.0, depth=1.1, resolution=240, dropout=0.2),
    "b2": VariantSpec(name="b2", width=1.1, depth=1.2, resolution=260, dropout=0.3),
    "b3": VariantSpec(name="b3", width=1.2, depth=1.4, resolution=300, dropout=0.3),
    "b4": VariantSpec(name="b4", width=1.4, depth=1.8, resolution=380, dropout=0.4),
    "b5": VariantSpec(name="b5", width=1.6, depth=2.2, resolution=456, dropout=0.4),
    "b6": VariantSpec(name="b6", width=1.8, depth=2.6, resolution=528, dropout=0.5),
    "b7": VariantSpec(name="b7", width=2.0, depth=3.1, resolution=600, dropout=0.5),
    "b8": VariantSpec(name="b8", width=2.2, depth=3.6, resolution=672, dropout=0.5),
    "l2": VariantSpec(name="l2", width=4.3, depth=5.3, resolution=800, dropout=0.5),
    "lite0": _lite("lite0", width=1.0, depth=1.0, resolution=224, dropout=0.2),
    "lite1": _lite("lite1", width=1.0, depth=1.1, resolution=240, dropout=0.2),
    "lite2": _lite("lite2", width=1.1, depth=1.2, resolution=260, dropout=0.3),
    "lite3": _lite("lite3", width=1.2, depth=1.4, resolution=280, dropout=0.3),
    "lite4": _lite("lite4", width=1.4, depth=1.8, resolution=300, dropout=0.3),
}

# What peers write around the variant: `efficientnet-b0`, `tf_efficientnet_b0_ap`, `efficientnet_b0.ra_in1k`.
_NAME = re.compile(
    r"(?:(?:tf[-_])?efficientnet[-_])?(?P<variant>(?:b|l|lite)\d)(?:[-_](?:ap|ns|ns_475))?(?:\.[\w.]+)?"
)


def resolve_variant(name: str) -> VariantSpec:
    """Find a variant by our name or a peer's (lukemelas, timm, torchvision), in any case.

    Raises:
        InputError: unknown name; the message lists the known ones.
    """
    match = _NAME.fullmatch(name.strip().lower())
    spec = VARIANTS.get(match["variant"]) if match else None
    if spec is None:
        raise InputError(
            f"unknown variant {brief(repr(name))}; choose one of {', '.join(VARIANTS)} "
            "(efficientnet-b0, efficientnet_b0 and tf_efficientnet_b0 all mean b0)."
        )
    return spec
