"""Surface textures: functions of texture coordinates (one period = 1) that give a tone in 0..1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_effnet.samples.streams import FloatArray, Stream

_CELLS = 32  # the jitter of cells repeats after this many periods, more than any picture shows


@dataclass(frozen=True, kw_only=True, slots=True)
class Surface:
    """Where a texture is evaluated."""

    p: FloatArray
    """First texture coordinate of each pixel, in periods: [H, W]."""
    q: FloatArray
    """Second texture coordinate, in periods: [H, W]."""
    footprint: float
    """How much of a period one pixel covers: the width of an anti-aliased edge."""


Texture = Callable[[Surface, Stream], FloatArray]


def edge(distance: FloatArray, width: float) -> FloatArray:
    """Anti-aliased step: 0 where distance < 0, 1 where it is > 0, a ramp of `width` between."""
    ramp: FloatArray = np.clip(distance * np.float32(1.0 / max(width, 1e-3)) + np.float32(0.5), 0.0, 1.0)
    return ramp


def wave(phase: FloatArray) -> FloatArray:
    """Triangle wave of period 1, in -0.5..0.5: 0.5 at whole numbers."""
    folded: FloatArray = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 2 - np.float32(0.5)
    return folded


def striped(surface: Surface, stream: Stream) -> FloatArray:
    """Straight parallel bars."""
    duty = stream.uniform(-0.16, 0.16)
    return edge(wave(surface.p) + np.float32(duty), 2 * surface.footprint)


def zigzag(surface: Surface, stream: Stream) -> FloatArray:
    """Parallel bars folded into chevrons: the bars of `striped`, with corners."""
    duty = stream.uniform(-0.16, 0.16)
    pitch = stream.uniform(0.55, 0.85)
    height = stream.uniform(0.4, 0.62)
    p = surface.p + np.float32(height) * wave(surface.q * np.float32(pitch)) * np.float32(1.6)
    return edge(wave(p) + np.float32(duty), 2.6 * surface.footprint)


def _nearest_spot(surface: Surface, stream: Stream, jitter: float) -> FloatArray:
    """Distance to the nearest jittered centre of a brick or square lattice, in periods: [H, W]."""
    offset = np.float32(0.5 if stream.chance(0.65) else 0.0)
    table = (stream.grid(2, _CELLS, _CELLS) - np.float32(0.5)) * np.float32(2 * jitter)
    row = np.floor(surface.q)
    rows = row.astype(np.int32)
    p = surface.p + offset * (rows & 1).astype(np.float32)
    column = np.floor(p)
    i, j = column.astype(np.int32) % _CELLS, rows % _CELLS
    dx = p - column - np.float32(0.5) - table[0, j, i]
    dy = surface.q - row - np.float32(0.5) - table[1, j, i]
    distance: FloatArray = np.sqrt(dx * dx + dy * dy)
    return distance


def dotted(surface: Surface, stream: Stream) -> FloatArray:
    """Round spots, filled."""
    radius = stream.uniform(0.26, 0.38)
    return edge(np.float32(radius) - _nearest_spot(surface, stream, 0.07), surface.footprint)


def ringed(surface: Surface, stream: Stream) -> FloatArray:
    """Round spots, hollow: the dots of `dotted`, with holes."""
    radius = stream.uniform(0.29, 0.35)
    width = stream.uniform(0.065, 0.105)
    distance = _nearest_spot(surface, stream, 0.06)
    return edge(np.float32(width) - np.abs(distance - np.float32(radius)), surface.footprint)


def checked(surface: Surface, stream: Stream) -> FloatArray:
    """Chessboard."""
    stretch = stream.uniform(0.85, 1.15)
    width = 2 * surface.footprint
    a = edge(wave(surface.p * np.float32(0.7)), width) - np.float32(0.5)
    b = edge(wave(surface.q * np.float32(0.7 * stretch)), width) - np.float32(0.5)
    return a * b * 2 + np.float32(0.5)


def woven(surface: Surface, stream: Stream) -> FloatArray:
    """Basket weave: the cells of `checked`, each of parallel strands, across in one and along in the next."""
    strands = stream.integer(2, 3)
    gap = stream.uniform(0.2, 0.34)
    p, q = surface.p * np.float32(0.7), surface.q * np.float32(0.7)
    width = 0.7 * surface.footprint * 2
    # `wave` changes sign twice a period, so half a period of it is one cell.
    across = edge(wave(p) * wave(q), width * 0.5)
    count = np.float32(2 * strands)
    shift = np.float32(0.25)
    along_p = edge(np.float32(0.5 - gap) - wave((p - shift) * count), width * float(count))
    along_q = edge(np.float32(0.5 - gap) - wave((q - shift) * count), width * float(count))
    # A strand rises in the middle of its cell and dives at the ends.
    rise_p = np.abs(wave(p)) * 2
    rise_q = np.abs(wave(q)) * 2
    first = along_p * (np.float32(0.62) + np.float32(0.38) * rise_q)
    second = along_q * (np.float32(0.5) + np.float32(0.38) * rise_p)
    return across * first + (1 - across) * second


def scaled(surface: Surface, stream: Stream) -> FloatArray:
    """Overlapping round scales, each darker towards its covered end and edged by a line."""
    radius = np.float32(stream.uniform(0.56, 0.64))
    line = stream.uniform(0.07, 0.12)
    depth = np.float32(stream.uniform(0.35, 0.65))
    q = surface.q * 2  # rows are half a period apart
    row = np.floor(q)
    tone = np.zeros_like(q)
    for behind in (1, 0, -1):  # from the hindmost row that can reach this pixel to the foremost
        level = row + np.float32(behind)
        shift = np.float32(0.5) * (level.astype(np.int32) & 1).astype(np.float32)
        p = surface.p + shift
        dx = p - np.floor(p) - np.float32(0.5)
        dy = (q - level) * np.float32(0.5)
        distance = np.sqrt(dx * dx + dy * dy)
        covers = edge(radius - distance, surface.footprint)
        inner = edge(radius - np.float32(line) - distance, surface.footprint)
        shade = inner * (1 - depth + depth * np.clip(distance / radius, 0, 1))
        tone = tone * (1 - covers) + shade * covers
    return tone


def honeycomb(surface: Surface, stream: Stream) -> FloatArray:
    """Hexagonal cells with walls between: as regular as `scaled`, straight instead of round."""
    wall = stream.uniform(0.05, 0.1)
    depth = np.float32(stream.uniform(0.1, 0.45))
    height = np.float32(3.0**0.5)
    p, q = surface.p, surface.q
    best = np.full_like(p, 9.0)
    for offset in (np.float32(0.0), np.float32(0.5)):  # a hexagonal lattice is two rectangular ones
        dx = np.abs(p + offset - np.floor(p + offset) - np.float32(0.5))
        r = q / height + offset
        dy = np.abs((r - np.floor(r) - np.float32(0.5)) * height)
        best = np.minimum(best, np.maximum(dx, dx * np.float32(0.5) + dy * (height * np.float32(0.5))))
    return edge(np.float32(0.5 - wall) - best, surface.footprint) * (1 - depth * (1 - 2 * best))


def plain(surface: Surface, stream: Stream) -> FloatArray:
    """No texture: a silhouette that belongs to no class."""
    return np.full_like(surface.p, stream.uniform())


_OF_CLASSES: tuple[Texture, ...] = (checked, dotted, honeycomb, ringed, scaled, striped, woven, zigzag)
TEXTURES = {texture.__name__: texture for texture in _OF_CLASSES}
"""The textures that classes have."""
