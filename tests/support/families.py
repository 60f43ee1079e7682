"""Networks of a few thousand weights with the blocks of EfficientNetV2 and of EdgeTPU, for 32 pixels."""

from __future__ import annotations

from edge_effnet.stages import StageSpec
from edge_effnet.variants import VariantSpec

SIDE = 32

V2_LIKE = VariantSpec(
    name="v2-s",
    width=1.0,
    depth=1.0,
    resolution=SIDE,
    dropout=0.1,
    stem=8,
    head=64,
    stages=(
        StageSpec(block="conv", kernel=3, stride=1, expand_ratio=1, in_channels=8, out_channels=8, repeats=2),
        StageSpec(block="fused", kernel=3, stride=2, expand_ratio=4, in_channels=8, out_channels=16, repeats=2),
        StageSpec(kernel=3, stride=2, expand_ratio=4, in_channels=16, out_channels=24, repeats=2),
    ),
)
"""Convolutions with a skip behind their activation, fused MBConv, MBConv with squeeze-excite; swish."""

ES_LIKE = VariantSpec(
    name="es",
    width=1.0,
    depth=1.0,
    resolution=SIDE,
    dropout=0.1,
    activation="relu",
    squeeze_excite=0.0,
    stem=16,
    head=64,
    stages=(
        StageSpec(
            block="fused",
            kernel=3,
            stride=1,
            expand_ratio=4,
            in_channels=16,
            out_channels=8,
            repeats=2,
            skip=False,
            expands_outputs=True,
        ),
        StageSpec(block="fused", kernel=3, stride=2, expand_ratio=8, in_channels=8, out_channels=16, repeats=2),
        StageSpec(kernel=5, stride=2, expand_ratio=8, in_channels=16, out_channels=24, repeats=2),
    ),
)
"""Fused MBConv without and with a skip, MBConv without squeeze-excite; ReLU."""

FAMILIES = {spec.name: spec for spec in (V2_LIKE, ES_LIKE)}
