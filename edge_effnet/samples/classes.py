"""The sixteen classes: each one texture on one silhouette, so neither alone tells them apart."""

from __future__ import annotations

from dataclasses import dataclass


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
CLASSES: tuple[ClassSpec, ...] = (
    ClassSpec(name="checked_bell", shape="bell", texture="checked"),
    ClassSpec(name="checked_pear", shape="pear", texture="checked"),
    ClassSpec(name="dotted_jug", shape="jug", texture="dotted"),
    ClassSpec(name="dotted_mug", shape="mug", texture="dotted"),
    ClassSpec(name="honeycomb_fish", shape="fish", texture="honeycomb"),
    ClassSpec(name="honeycomb_leaf", shape="leaf", texture="honeycomb"),
    ClassSpec(name="ringed_jug", shape="jug", texture="ringed"),
    ClassSpec(name="ringed_mug", shape="mug", texture="ringed"),
    ClassSpec(name="scaled_fish", shape="fish", texture="scaled"),
    ClassSpec(name="scaled_leaf", shape="leaf", texture="scaled"),
    ClassSpec(name="striped_flower", shape="flower", texture="striped"),
    ClassSpec(name="striped_gear", shape="gear", texture="striped"),
    ClassSpec(name="woven_bell", shape="bell", texture="woven"),
    ClassSpec(name="woven_pear", shape="pear", texture="woven"),
    ClassSpec(name="zigzag_flower", shape="flower", texture="zigzag"),
    ClassSpec(name="zigzag_gear", shape="gear", texture="zigzag"),
)

CLASS_NAMES: tuple[str, ...] = tuple(spec.name for spec in CLASSES)
"""Sorted, so that the order of the folders on disk is the class index."""
