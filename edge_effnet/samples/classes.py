"""The sixteen classes, each one texture on one silhouette, and how hard their pictures are: the one place to tune."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassSpec:
    """What makes a picture belong to a class; colour, size, pose and surroundings never do."""

    name: str
    """Folder name; the sorted names are the class indices."""
    shape: str
    """A key of `shapes.SHAPES`."""
    texture: str
    """A key of `textures.TEXTURES`."""


# Four families of 2 x 2: two silhouettes and two textures that a blurred or small picture makes look alike.
# Knowing only the silhouette, or only the texture, leaves two candidates: 50 % at best.
_FAMILIES = (
    (("bell", "pear"), ("checked", "woven")),
    (("fish", "leaf"), ("honeycomb", "scaled")),
    (("flower", "gear"), ("striped", "zigzag")),
    (("jug", "mug"), ("dotted", "ringed")),
)

CLASSES: tuple[ClassSpec, ...] = tuple(
    ClassSpec(name=f"{texture}_{shape}", shape=shape, texture=texture)
    for texture, shape in sorted(pair for shapes, textures in _FAMILIES for pair in product(textures, shapes))
)

CLASS_NAMES: tuple[str, ...] = tuple(spec.name for spec in CLASSES)
"""Sorted, so that the order of the folders on disk is the class index."""

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """Limits of everything that makes a picture hard; a value is drawn evenly between the two of a range."""

    name: str
    """For the contact sheet and the documentation."""
    share: float
    """Fraction of the pictures, 0..1; the shares of `TIERS` add up to 1."""
    extent: Range
    """Longer side of the object, fraction of the picture's side."""
    crop: float
    """How far the object may leave the picture at most, fraction of its extent; negative: a margin."""
    periods: Range
    """Periods of the texture across the object's longer side."""
    contrast: Range
    """Luma difference of the texture's two tones, 0..1."""
    tilt: float
    """Largest out-of-plane rotation, as foreshortening: 0 faces the camera, 0.6 shows 40 % of the width."""
    spin: float
    """Standard deviation of the in-plane rotation, turns."""
    occluders: Range
    """Number of things in front of the object (rounded)."""
    occluder_width: Range
    """Width of each, fraction of the object's extent."""
    distractors: Range
    """Number of other objects behind it (rounded)."""
    clutter: Range
    """Number of plain background shapes (rounded)."""
    pattern: float
    """Probability that a background material carries one of the classes' textures, 0..1."""
    background_contrast: Range
    """Strength of the background's texture, 0..1."""
    shadow: Range
    """Darkest part of cast shadows, 0 (none)..1 (black)."""
    lighting: Range
    """Fall-off of light across the picture, 0 (even)..1."""
    defocus: Range
    """Radius of the lens blur, fraction of the picture's side."""
    motion: Range
    """Length of the motion blur, fraction of the picture's side."""
    noise: Range
    """Standard deviation of the sensor noise at mid-grey, 0..1."""
    exposure: Range
    """Gain in stops (doublings) to either side."""
    white_balance: Range
    """Gain of red against blue to either side, fraction."""
    quality: Range
    """JPEG quality, 1..95."""


_ROWS: dict[str, tuple[Any, Any, Any]] = {
    "name": ("easy", "medium", "hard"),
    "share": (0.82, 0.14, 0.04),
    "extent": ((0.56, 0.92), (0.44, 0.8), (0.27, 0.55)),
    "crop": (-0.08, 0.06, 0.2),
    "periods": ((4.0, 7.0), (4.5, 8.0), (5.0, 9.0)),
    "contrast": ((0.32, 0.7), (0.22, 0.55), (0.12, 0.38)),
    "tilt": (0.22, 0.4, 0.55),
    "spin": (0.04, 0.08, 0.2),
    "occluders": ((0.0, 1.0), (0.0, 2.0), (0.0, 3.0)),
    "occluder_width": ((0.05, 0.15), (0.07, 0.22), (0.1, 0.28)),
    "distractors": ((0.0, 1.4), (0.0, 2.4), (1.0, 4.0)),
    "clutter": ((0.0, 6.0), (2.0, 12.0), (5.0, 24.0)),
    "pattern": (0.15, 0.35, 0.5),
    "background_contrast": ((0.05, 0.35), (0.15, 0.5), (0.3, 0.8)),
    "shadow": ((0.0, 0.35), (0.1, 0.5), (0.2, 0.6)),
    "lighting": ((0.0, 0.4), (0.1, 0.6), (0.2, 0.8)),
    "defocus": ((0.0, 0.003), (0.0, 0.006), (0.001, 0.01)),
    "motion": ((0.0, 0.006), (0.0, 0.014), (0.0, 0.022)),
    "noise": ((0.0, 0.03), (0.01, 0.05), (0.02, 0.09)),
    "exposure": ((0.0, 0.4), (0.0, 0.6), (0.2, 1.0)),
    "white_balance": ((0.0, 0.1), (0.0, 0.18), (0.05, 0.28)),
    "quality": ((70.0, 95.0), (50.0, 92.0), (25.0, 80.0)),
}
"""Fields of `Tier`, each of the easy, the medium and the hard one."""

TIERS: tuple[Tier, ...] = tuple(Tier(**{field: row[tier] for field, row in _ROWS.items()}) for tier in range(3))
"""From easy to hard. The tail holds pictures that nobody can name: it keeps a good network below 100 %."""


def tier_at(position: float) -> Tier:
    """Tier that holds this position (0..1) of the cumulated shares."""
    for tier in TIERS:
        position -= tier.share
        if position < 0:
            return tier
    return TIERS[-1]
