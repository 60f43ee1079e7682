"""Who trained the weights decides their padding, BatchNorm eps and preprocessing: one table row an origin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

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
    """A key of `edge_effnet.padding.PADDINGS`."""
    bn_eps: float
    """BatchNorm's eps, for variants that `bn_eps_of` does not name."""
    bn_eps_of: Mapping[str, float]
    """Exceptions by variant."""
    preprocess: Mapping[str, Preprocess]
    """By variant; a variant that is absent was never published by this origin."""

    def eps(self, variant: str) -> float:
        """BatchNorm's eps of a variant."""
        return self.bn_eps_of.get(variant, self.bn_eps)


def by_crop_fraction(crop: int, fraction: float, interpolation: str = "bicubic") -> Preprocess:
    """Preprocess as timm says it: the crop is this fraction of the resized shorter side, rounded down."""
    return Preprocess(crop=crop, resize=math.floor(crop / fraction), interpolation=interpolation)


def rescaled(preprocess: Preprocess, image_size: int) -> Preprocess:
    """Return the same preprocessing for another image size, with the same fraction cropped."""
    if image_size == preprocess.crop:
        return preprocess
    resize = max(image_size, round(image_size * preprocess.resize / preprocess.crop))
    return replace(preprocess, crop=image_size, resize=resize)


def _inception(table: Mapping[str, Preprocess]) -> dict[str, Preprocess]:
    return {name: replace(p, mean=INCEPTION_MEAN, std=INCEPTION_STD) for name, p in table.items()}


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
}

# timm's default_cfg of each architecture; those of B1 and of Lite1-4, B6-L2 are its current defaults.
_TIMM = {
    "b0": by_crop_fraction(224, 0.875),
    "b1": replace(by_crop_fraction(240, 0.9), mean=INCEPTION_MEAN, std=INCEPTION_STD),
    "b2": by_crop_fraction(256, 0.875),
    "b3": by_crop_fraction(288, 0.875),
    "b4": by_crop_fraction(320, 0.875),
    "b5": by_crop_fraction(448, 1.0),
    "b6": by_crop_fraction(528, 0.942),
    "b7": by_crop_fraction(600, 0.949),
    "b8": by_crop_fraction(672, 0.954),
    "l2": by_crop_fraction(800, 0.961),
    "lite0": by_crop_fraction(224, 0.875),
    "lite1": by_crop_fraction(240, 0.882),
    "lite2": by_crop_fraction(260, 0.89),
    "lite3": by_crop_fraction(300, 0.904),
    "lite4": by_crop_fraction(380, 0.922),
}

_TIMM_TF_B = {
    "b0": by_crop_fraction(224, 0.875),
    "b1": by_crop_fraction(240, 0.882),
    "b2": by_crop_fraction(260, 0.89),
    "b3": by_crop_fraction(300, 0.904),
    "b4": by_crop_fraction(380, 0.922),
    "b5": by_crop_fraction(456, 0.934),
    "b6": by_crop_fraction(528, 0.942),
    "b7": by_crop_fraction(600, 0.949),
    "b8": by_crop_fraction(672, 0.954),
}

# The published L2 has two sizes; 475 is timm's default, the weights of 800 are named without it.
_TIMM_TF_L2 = {"l2": by_crop_fraction(475, 0.936)}

_TIMM_TF_LITE = {
    "lite0": by_crop_fraction(224, 0.875),
    "lite1": by_crop_fraction(240, 0.882),
    "lite2": by_crop_fraction(260, 0.89),
    "lite3": by_crop_fraction(300, 0.904, "bilinear"),
    "lite4": by_crop_fraction(380, 0.92, "bilinear"),
}

_LUKEMELAS = {
    name: Preprocess(crop=spec.resolution, resize=spec.resolution)
    for name, spec in VARIANTS.items()
    if not name.startswith("lite")
}

ORIGINS: dict[str, Origin] = {
    "torchvision": Origin(
        name="torchvision",
        layout="torchvision",
        padding="symmetric",
        bn_eps=TORCH_EPS,
        bn_eps_of={"b5": TF_EPS, "b6": TF_EPS, "b7": TF_EPS},
        preprocess=_TORCHVISION,
    ),
    "timm": Origin(
        name="timm",
        layout="timm",
        padding="symmetric",
        bn_eps=TORCH_EPS,
        bn_eps_of={},
        preprocess=_TIMM,
    ),
    "timm-tf": Origin(
        name="timm-tf",
        layout="timm",
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess={**_TIMM_TF_B, **_TIMM_TF_L2, **_inception(_TIMM_TF_LITE)},
    ),
    "timm-tf-advprop": Origin(
        name="timm-tf-advprop",
        layout="timm",
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess=_inception(_TIMM_TF_B),
    ),
    "lukemelas": Origin(
        name="lukemelas",
        layout="lukemelas",
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess=_LUKEMELAS,
    ),
    "lukemelas-advprop": Origin(
        name="lukemelas-advprop",
        layout="lukemelas",
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess=_inception(_LUKEMELAS),
    ),
    "edge-effnet": Origin(
        name="edge-effnet",
        layout="edge-effnet",
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess={name: Preprocess(crop=s.resolution, resize=s.resolution) for name, s in VARIANTS.items()},
    ),
    # Keras' weights: `google/efficientnet-b0` to `-b7`, whose images are squeezed into the square, not cropped.
    "transformers": Origin(
        name="transformers",
        layout="transformers",
        padding="same",
        bn_eps=TF_EPS,
        bn_eps_of={},
        preprocess={name: p for name, p in _LUKEMELAS.items() if name not in ("b8", "l2")},
    ),
}


def resolve_origin(name: str) -> Origin:
    """Find an origin by name.

    Raises:
        InputError: unknown name; the message lists the known ones.
    """
    if name not in ORIGINS:
        raise InputError(f"unknown origin {name!r}; choose one of {', '.join(ORIGINS)}.")
    return ORIGINS[name]
