"""The variants of EfficientNet as one readable table, and compound scaling.

Sources: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table
1 and equation 3; Xie et al., "Adversarial Examples Improve Image Recognition" (2020) for B8; Xie et al.,
"Self-training with Noisy Student" (2020) for L2; Google's EfficientNet-Lite release notes for Lite0-Lite4; Tan and
Le, "EfficientNetV2" (2021) and its official code for V2; Google's EfficientNet-EdgeTPU for ES, EM and EL; Aflalo et
al., "Knapsack Pruning with Inner Distillation" (2020) for the pruned B1-B3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.stages import (
    BASELINE_STAGES,
    EDGETPU_STAGES,
    V2_BASE_STAGES,
    V2_L_STAGES,
    V2_M_STAGES,
    V2_RW_M_STAGES,
    V2_RW_STAGES,
    V2_S_STAGES,
    V2_XL_STAGES,
    BlockSpec,
    BlockWidths,
    StageSpec,
    round_filters,
    round_repeats,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class VariantSpec:
    """One EfficientNet: a family's stages, scaled in width, depth and resolution together."""

    name: str
    """Its key in `VARIANTS`."""
    width: float
    """Multiplies channel counts, see `round_filters`."""
    depth: float
    """Multiplies block counts, see `round_repeats`."""
    resolution: int
    """Side of the images that it was designed for, pixels; V2 was trained on smaller ones."""
    dropout: float
    """Rate of the dropout before the classifier, 0..1."""
    activation: str = "swish"
    """A key of `edge_effnet.activations.ACTIVATIONS`."""
    squeeze_excite: float = 0.25
    """Squeezed channels per input channel of an MBConv; 0 means no squeeze-excite. Other blocks never have it."""
    fixed_ends: bool = False
    """Lite: channels of stem and head, and repeats of the first and last stage, are not scaled."""
    stages: tuple[StageSpec, ...] = BASELINE_STAGES
    """Before scaling; `block_specs` gives the blocks as built."""
    stem: int = 32
    """Channels after the stem, before scaling."""
    head: int = 1280
    """Channels of the features, before scaling."""
    rounding_limit: float = 0.9
    """Scaled channels are not rounded down below this part of them."""
    pruned: bool = False
    """Whether each block has channel counts of its own, which only a weight file knows."""
    widths: tuple[BlockWidths, ...] | None = None
    """Those counts, in order of the blocks."""

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
        return self.stem if self.fixed_ends else self._scaled(self.stem)

    @property
    def head_channels(self) -> int:
        """Channels of the features, before the classifier."""
        return self.head if self.fixed_ends else self._scaled(self.head)

    @property
    def blocks(self) -> int:
        """How many blocks the whole network has."""
        return sum(stage.repeats for stage in self.scaled_stages)

    @property
    def scaled_stages(self) -> tuple[StageSpec, ...]:
        """The stages with this variant's channels (before pruning) and repeats."""
        channels = [self.stem_channels, *(self._scaled(stage.out_channels) for stage in self.stages)]
        repeats = [round_repeats(stage.repeats, self.depth) for stage in self.stages]
        if self.fixed_ends:
            repeats[0], repeats[-1] = self.stages[0].repeats, self.stages[-1].repeats
        return tuple(
            replace(stage, in_channels=before, out_channels=after, repeats=count)
            for stage, (before, after), count in zip(self.stages, pairwise(channels), repeats, strict=True)
        )

    @property
    def block_specs(self) -> tuple[tuple[BlockSpec, ...], ...]:
        """The blocks of each stage, as built.

        Raises:
            InputError: a pruned network's counts are unknown.
        """
        if self.pruned and self.widths is None:
            raise InputError(
                f"variant {self.name!r} has channel counts that only its weights know: load a weight file of it."
            )
        widths = None if self.widths is None else iter(self.widths)
        in_channels, found = self.stem_channels, []
        for stage in self.scaled_stages:
            blocks = []
            for repeat in range(stage.repeats):
                blocks.append(self._block(stage, in_channels, 1 if repeat else stage.stride, widths))
                in_channels = blocks[-1].out_channels
            found.append(tuple(blocks))
        return tuple(found)

    def _block(
        self, stage: StageSpec, in_channels: int, stride: int, widths: Iterator[BlockWidths] | None
    ) -> BlockSpec:
        squeezed = max(1, int(in_channels * self.squeeze_excite)) if self.squeeze_excite else 0
        own = BlockWidths(
            inner_channels=stage.expand_ratio * (stage.out_channels if stage.expands_outputs else in_channels),
            squeezed_channels=squeezed if stage.block == "mbconv" else 0,
            out_channels=stage.out_channels,
        )
        width = own if widths is None else next(widths)
        return BlockSpec(
            kind=stage.block,
            kernel=stage.kernel,
            stride=stride,
            expands=stage.expand_ratio > 1,
            in_channels=in_channels,
            inner_channels=width.inner_channels,
            squeezed_channels=width.squeezed_channels,
            out_channels=width.out_channels,
            has_skip=stage.skip and stride == 1 and in_channels == width.out_channels,
        )

    def _scaled(self, channels: int) -> int:
        return round_filters(channels, self.width, limit=self.rounding_limit)


_lite = partial(VariantSpec, activation="relu6", squeeze_excite=0.0, fixed_ends=True)
_edgetpu = partial(VariantSpec, activation="relu", squeeze_excite=0.0, stages=EDGETPU_STAGES)
_v2 = partial(VariantSpec, width=1.0, depth=1.0)
# Its code rounds to the nearest multiple of 8, however far down.
_v2_base = partial(VariantSpec, stages=V2_BASE_STAGES, rounding_limit=0.0)

_ROWS = (
    VariantSpec(name="b0", width=1.0, depth=1.0, resolution=224, dropout=0.2),
    VariantSpec(name="b1", width=1.0, depth=1.1, resolution=240, dropout=0.2),
    VariantSpec(name="b2", width=1.1, depth=1.2, resolution=260, dropout=0.3),
    VariantSpec(name="b3", width=1.2, depth=1.4, resolution=300, dropout=0.3),
    VariantSpec(name="b4", width=1.4, depth=1.8, resolution=380, dropout=0.4),
    VariantSpec(name="b5", width=1.6, depth=2.2, resolution=456, dropout=0.4),
    VariantSpec(name="b6", width=1.8, depth=2.6, resolution=528, dropout=0.5),
    VariantSpec(name="b7", width=2.0, depth=3.1, resolution=600, dropout=0.5),
    VariantSpec(name="b8", width=2.2, depth=3.6, resolution=672, dropout=0.5),
    VariantSpec(name="l2", width=4.3, depth=5.3, resolution=800, dropout=0.5),
    _lite(name="lite0", width=1.0, depth=1.0, resolution=224, dropout=0.2),
    _lite(name="lite1", width=1.0, depth=1.1, resolution=240, dropout=0.2),
    _lite(name="lite2", width=1.1, depth=1.2, resolution=260, dropout=0.3),
    _lite(name="lite3", width=1.2, depth=1.4, resolution=280, dropout=0.3),
    _lite(name="lite4", width=1.4, depth=1.8, resolution=300, dropout=0.3),
    VariantSpec(name="b1-pruned", pruned=True, width=1.0, depth=1.1, resolution=240, dropout=0.2),
    VariantSpec(name="b2-pruned", pruned=True, width=1.1, depth=1.2, resolution=260, dropout=0.3),
    VariantSpec(name="b3-pruned", pruned=True, width=1.2, depth=1.4, resolution=300, dropout=0.3),
    _edgetpu(name="es", width=1.0, depth=1.0, resolution=224, dropout=0.2),
    _edgetpu(name="em", width=1.0, depth=1.1, resolution=240, dropout=0.2),
    _edgetpu(name="el", width=1.2, depth=1.4, resolution=300, dropout=0.3),
    _v2_base(name="v2-b0", width=1.0, depth=1.0, resolution=224, dropout=0.2),
    _v2_base(name="v2-b1", width=1.0, depth=1.1, resolution=240, dropout=0.2),
    _v2_base(name="v2-b2", width=1.1, depth=1.2, resolution=260, dropout=0.3),
    _v2_base(name="v2-b3", width=1.2, depth=1.4, resolution=300, dropout=0.3),
    _v2(name="v2-s", stages=V2_S_STAGES, stem=24, resolution=384, dropout=0.2),
    _v2(name="v2-m", stages=V2_M_STAGES, stem=24, resolution=480, dropout=0.3),
    _v2(name="v2-l", stages=V2_L_STAGES, stem=32, resolution=480, dropout=0.4),
    _v2(name="v2-xl", stages=V2_XL_STAGES, stem=32, resolution=512, dropout=0.4),
    _v2(name="v2-rw-t", stages=V2_S_STAGES, stem=24, width=0.8, depth=0.9, resolution=288, dropout=0.2),
    _v2(name="v2-rw-s", stages=V2_RW_STAGES, stem=24, head=1792, resolution=384, dropout=0.2),
    _v2(name="v2-rw-m", stages=V2_RW_M_STAGES, stem=24, head=1792, width=1.2, resolution=416, dropout=0.3),
)

VARIANTS: dict[str, VariantSpec] = {spec.name: spec for spec in _ROWS}

# What peers write around the variant: `efficientnet-b0`, `tf_efficientnet_b0_ap`, `efficientnet_b0.ra_in1k`,
# `efficientnetv2_s`, `efficientnet_v2_s`, `tf_efficientnetv2_s_in21ft1k`, `efficientnet-edgetpu-S`.
_NAME = re.compile(
    r"(?:tf[-_])?(?:efficientnet[-_]?)?"
    r"(?P<variant>(?:b|l|lite)\d|b\d[-_]pruned|(?:edgetpu[-_])?e?[sml](?:[-_]pruned)?|v2[-_]?(?:rw[-_][tsm]|b\d|s|m|l|xl))"
    r"(?:[-_](?:ap|ns|ns_475|in21k|in21ft1k|21k|21ft1k))?(?:\.[\w.]+)?"
)

_UNSUPPORTED: tuple[tuple[str, str], ...] = (
    (r"efficientnet_cc_", "conditional convolutions (CondConv), whose kernels change from image to image"),
    (r"efficientnet_b\d_(?:g\d+_)?(?:gn|evos)", "group normalization, which cannot be folded into its convolutions"),
    (r"efficientnet_blur_", "blurred downsampling"),
    (r"efficientnet_[xh]_", "space-to-depth stems and other blocks"),
    (r"gc_efficientnet", "global context attention instead of squeeze-excite"),
)
"""Relatives in timm, by how their names begin, and what they have that is not built here."""


def relative_of(name: str) -> str | None:
    """What a relative in timm has that is not built here; None for any other name."""
    plain = name.strip().lower()
    return next((reason for pattern, reason in _UNSUPPORTED if re.match(rf"(?:tf_)?{pattern}", plain)), None)


def resolve_variant(name: str) -> VariantSpec:
    """Find a variant by our name or a peer's (lukemelas, timm, torchvision, Google), in any case.

    Raises:
        InputError: unknown name; the message lists the known ones. Or a relative that is not built here.
    """
    plain = name.strip().lower()
    match = _NAME.fullmatch(plain)
    spec = VARIANTS.get(_our_name(match["variant"])) if match else None
    if spec is not None:
        return spec
    reason = relative_of(plain)
    if reason is not None:
        raise InputError(
            f"{brief(repr(name))} is not supported: it has {reason}; take another variant: {', '.join(VARIANTS)}."
        )
    raise InputError(
        f"unknown variant {brief(repr(name))}; choose one of {', '.join(VARIANTS)} "
        "(efficientnet-b0, efficientnet_b0 and tf_efficientnet_b0 all mean b0)."
    )


def _our_name(variant: str) -> str:
    """`v2_s`, `v2s` and `edgetpu-s` as the table has them."""
    name = variant.replace("_", "-")
    if name.startswith("v2"):
        return f"v2-{name[2:].lstrip('-')}"
    if name.startswith("edgetpu-"):
        return "e" + name.removeprefix("edgetpu-").removeprefix("e")
    # timm's pruned ES and EL are the same networks with zeros among their weights.
    return name.removesuffix("-pruned") if name.startswith(("es", "el")) else name
