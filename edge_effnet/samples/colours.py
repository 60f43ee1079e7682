"""Colours that say nothing about the class: any hue, mostly muted, with a chosen luma difference."""

from __future__ import annotations

import colorsys

from edge_effnet.samples.streams import Stream

Colour = tuple[float, float, float]
"""Red, green, blue, each 0..1."""


def luma(colour: Colour) -> float:
    """Rec. 601 luma, 0..1."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def any_colour(stream: Stream, *, saturation: float = 1.0) -> Colour:
    """Return a random colour; most are muted, as most of the world is."""
    strength = saturation * stream.uniform() * stream.uniform(0.2, 1.0)
    return colorsys.hsv_to_rgb(stream.uniform(), strength, stream.uniform(0.12, 0.95))


def at_luma(colour: Colour, target: float) -> Colour:
    """Mix towards black or white until the luma is `target` (0..1), keeping the hue."""
    now = luma(colour)
    if now > target:
        gain = target / now
        return (colour[0] * gain, colour[1] * gain, colour[2] * gain)
    mix = (target - now) / (1.0 - now)
    return (
        colour[0] + (1 - colour[0]) * mix,
        colour[1] + (1 - colour[1]) * mix,
        colour[2] + (1 - colour[2]) * mix,
    )


def two_tones(stream: Stream, contrast: float) -> tuple[Colour, Colour]:
    """Two colours whose luma differs by `contrast` (0..0.8), in either order, of like or unlike hues."""
    low = stream.uniform(0.06, 0.94 - contrast)
    first = any_colour(stream)
    second = first if stream.chance(0.4) else any_colour(stream)
    dark, light = at_luma(first, low), at_luma(second, low + contrast)
    return (dark, light) if stream.chance(0.5) else (light, dark)
