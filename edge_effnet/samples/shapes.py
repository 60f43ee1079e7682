"""Silhouettes: each a handful of polygons with the variety that one kind of thing has."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_effnet.samples.streams import Stream

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One polygon of a silhouette, applied in order."""

    points: list[Point]
    """Corners, x to the right and y down; after `outline` the silhouette spans -1..1 on its longer side."""
    op: Literal["add", "cut", "ink"] = "add"
    """Add to the silhouette, cut out of it, or shade what is already there."""


def turn(turns: float) -> Point:
    """Cosine and sine of an angle in turns (0..1), rounded so that all C libraries agree."""
    angle = 2.0 * math.pi * turns
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def ellipse(x: float, y: float, rx: float, ry: float, corners: int = 40) -> list[Point]:
    """Corners of an ellipse around (x, y)."""
    return [(x + rx * c, y + ry * s) for c, s in (turn(k / corners) for k in range(corners))]


def around(corners: Iterable[tuple[float, float]]) -> list[Point]:
    """Corners about the origin, each by its angle (`turn`) and its distance."""
    return [(radius * c, radius * s) for turns, radius in corners for c, s in (turn(turns),)]


def smooth(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """Round a closed outline: a Catmull-Rom spline through the points, `steps` corners for each."""
    count = len(points)
    rounded: list[Point] = []
    for k in range(count):
        a, b, c, d = (points[(k + offset) % count] for offset in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            wa = -0.5 * t + t * t - 0.5 * t * t * t
            wb = 1.0 - 2.5 * t * t + 1.5 * t * t * t
            wc = 0.5 * t + 2.0 * t * t - 1.5 * t * t * t
            wd = -0.5 * t * t + 0.5 * t * t * t
            rounded.append(
                (wa * a[0] + wb * b[0] + wc * c[0] + wd * d[0], wa * a[1] + wb * b[1] + wc * c[1] + wd * d[1])
            )
    return rounded


def _mirrored(right: Sequence[Point]) -> list[Point]:
    """Close a right-hand profile, given from top to bottom, with its mirror image."""
    return [*right, *((-x, y) for x, y in reversed(right))]


def _handle(x: float, y: float, rx: float, ry: float, thickness: float) -> list[Part]:
    """Return a loop: an ellipse with a hole; a body added afterwards covers its inner side."""
    hole = ellipse(x, y, max(rx - thickness, 0.05), max(ry - thickness, 0.08))
    return [Part(points=ellipse(x, y, rx, ry)), Part(points=hole, op="cut")]


def mug(stream: Stream) -> list[Part]:
    """Return a straight or slightly tapered cup, as wide as high, with a loop on one side."""
    half = stream.uniform(0.58, 0.74)
    base = half * stream.uniform(0.78, 1.0)
    height = stream.uniform(0.72, 0.88)
    rim = stream.uniform(0.08, 0.2)
    reach = stream.uniform(0.36, 0.5)
    loop = _handle(
        half * 0.96, stream.signed(0.1), reach, height * stream.uniform(0.5, 0.66), stream.uniform(0.14, 0.2)
    )
    side = [(half, -height), (0.5 * (half + base), 0.0), (base, height * 0.86)]
    foot = [(base * 0.8, height), (0.0, height + rim * 0.4)]
    body = _mirrored([*side, *foot[:1]])
    body.insert(4, foot[1])
    mouth = ellipse(0.0, -height, half, rim)
    inside = ellipse(0.0, -height, half * 0.9, rim * 0.78)
    return [*loop, Part(points=body), Part(points=mouth), Part(points=inside, op="ink")]


def jug(stream: Stream) -> list[Part]:
    """Return a bellied pitcher: narrow neck, lip drawn out to one side, loop from neck to belly."""
    belly = stream.uniform(0.5, 0.64)
    neck = belly * stream.uniform(0.5, 0.66)
    foot = belly * stream.uniform(0.55, 0.8)
    lip = neck * stream.uniform(1.5, 1.9)
    waist = stream.uniform(-0.5, -0.34)
    reach, height, thickness = stream.uniform(0.34, 0.46), stream.uniform(0.4, 0.5), stream.uniform(0.11, 0.16)
    loop = _handle(belly * 0.72, waist + 0.18, reach, height, thickness)
    body = smooth(
        [
            (neck * 1.15, -0.97), (neck, waist), (belly * 0.86, -0.05), (belly, 0.35), (belly * 0.84, 0.72),
            (foot, 0.96), (-foot, 0.96), (-belly * 0.84, 0.72), (-belly, 0.35), (-belly * 0.86, -0.05),
            (-neck, waist), (-neck * 1.1, -0.8), (-lip, -1.02),
        ]
    )  # fmt: skip
    mouth = smooth([(neck * 1.0, -0.96), (0.0, -0.88), (-neck, -0.9), (-lip * 0.88, -0.99), (0.0, -1.03)], 5)
    return [*loop, Part(points=body), Part(points=mouth, op="ink")]


def fish(stream: Stream) -> list[Part]:
    """Return a lens-shaped body with a forked tail, a fin on the back and an eye."""
    depth = stream.uniform(0.34, 0.5)
    tail = stream.uniform(0.3, 0.46)
    fork = stream.uniform(0.08, 0.2)
    body = smooth(
        [
            (-0.95, 0.02), (-0.72, -depth * 0.72), (-0.25, -depth), (0.3, -depth * 0.66), (0.68, -0.1),
            (0.68, 0.1), (0.3, depth * 0.66), (-0.25, depth), (-0.72, depth * 0.74),
        ]
    )  # fmt: skip
    fluke = [(0.58, -0.08), (0.98, -tail), (1.0 - fork, 0.0), (0.98, tail), (0.58, 0.08)]
    height = depth + stream.uniform(0.14, 0.3)
    fin = [(-0.38, -depth * 0.8), (-0.1, -height), (0.3, -height * 0.8), (0.34, -depth * 0.5)]
    belly_fin = [(-0.3, depth * 0.85), (-0.05, height * 0.96), (0.1, depth * 0.7)]
    eye = ellipse(-0.7, -depth * 0.2, 0.055, 0.055, 16)
    return [*(Part(points=p) for p in (fluke, fin, belly_fin, body)), Part(points=eye, op="ink")]


def leaf(stream: Stream) -> list[Part]:
    """Return a pointed blade with a toothed edge, a stem and a midrib."""
    width = stream.uniform(0.36, 0.52)
    widest = stream.uniform(-0.25, 0.1)
    teeth = stream.integer(5, 9)
    depth = stream.uniform(0.05, 0.11)
    upper: list[Point] = [(-0.95, 0.0)]
    for k in range(2 * teeth):
        t = (k + 1) / (2 * teeth + 1)
        x = -0.95 + 1.5 * t
        # Two parabolas that meet at the widest place.
        span = (x + 0.95) / (widest + 0.95) if x < widest else (0.55 - x) / (0.55 - widest)
        half = width * (1.0 - (1.0 - span) * (1.0 - span))
        upper.append((x - (0.04 if k % 2 else 0.0), half + (depth if k % 2 else 0.0)))
    lower = [(x, -y) for x, y in reversed(upper[1:])]
    bend = stream.signed(0.12)
    blade = [*upper, (0.55, 0.0), *lower]
    thickness = stream.uniform(0.025, 0.045)
    stem = [(0.45, -thickness), (0.82, bend - thickness), (0.84, bend + thickness), (0.45, thickness)]
    rib = [(-0.8, 0.0), (0.5, -thickness * 0.7), (0.5, thickness * 0.7)]
    return [Part(points=stem), Part(points=blade), Part(points=rib, op="ink")]


def flower(stream: Stream) -> list[Part]:
    """Return five to eight round petals around a centre."""
    petals = stream.integer(5, 8)
    inner = stream.uniform(0.42, 0.56)
    length = 1.0 - inner
    steps = 14
    eye = stream.uniform(0.16, 0.24)
    phases = [step / steps * 2.0 - 1.0 for step in range(steps)] * petals
    # A half circle of each petal: steep at the notch, flat at the tip.
    radii = (inner + length * (1.0 - phase * phase) ** 0.5 for phase in phases)
    rim = around((k / (petals * steps), radius) for k, radius in enumerate(radii))
    centre = ellipse(0.0, 0.0, eye, eye)
    return [Part(points=rim), Part(points=centre, op="ink")]


def gear(stream: Stream) -> list[Part]:
    """Return a wheel with six to ten square teeth and a hole in the middle."""
    teeth = stream.integer(6, 10)
    root = stream.uniform(0.68, 0.8)
    taper = stream.uniform(0.02, 0.09)
    tooth = ((0.0, root), (taper, 1.0), (0.5 - taper, 1.0), (0.5, root), (0.75, root * 0.985))
    rim = around(((k + offset) / teeth, radius) for k in range(teeth) for offset, radius in tooth)
    bore = stream.uniform(0.14, 0.26)
    return [Part(points=rim), Part(points=ellipse(0.0, 0.0, bore, bore), op="cut")]


def bell(stream: Stream) -> list[Part]:
    """Return a dome that flares to a wide flat mouth, a loop above and a clapper below."""
    mouth = stream.uniform(0.68, 0.84)
    shoulder = mouth * stream.uniform(0.48, 0.62)
    flare = stream.uniform(0.3, 0.5)
    side = [(0.1, -0.74), (shoulder * 0.78, -0.62), (shoulder, -0.3), (shoulder * 1.08, flare * 0.5)]
    body = smooth(_mirrored([*side, (mouth * 0.84, 0.5), (mouth * 0.92, 0.62)]), 5)
    lip = _mirrored([(mouth * 0.92, 0.6), (mouth, 0.68), (mouth, 0.77)])
    radius = stream.uniform(0.11, 0.17)
    loop = _handle(0.0, -0.78, radius, radius + 0.03, radius * 0.5)
    clapper = ellipse(stream.signed(0.15), 0.8, radius * 1.15, radius * 1.1, 20)
    band = [(mouth * 0.84, 0.52), (mouth * 0.9, 0.58), (-mouth * 0.9, 0.58), (-mouth * 0.84, 0.52)]
    return [Part(points=clapper), *loop, Part(points=body), Part(points=lip), Part(points=band, op="ink")]


def pear(stream: Stream) -> list[Part]:
    """Return a round bottom that narrows to a rounded top, with a stem and sometimes a leaf."""
    belly = stream.uniform(0.58, 0.72)
    top = belly * stream.uniform(0.4, 0.56)
    waist = stream.uniform(-0.3, -0.1)
    side = [
        (top * 0.5, -0.76), (top, -0.56), (top * 1.12, waist), (belly * 0.9, waist + 0.36), (belly, 0.42),
        (belly * 0.8, 0.76), (belly * 0.3, 0.93),
    ]  # fmt: skip
    lean = stream.signed(0.16)
    stem = [(-0.05, -0.7), (lean - 0.04, -1.02), (lean + 0.06, -1.02), (0.06, -0.7)]
    parts = [Part(points=stem), Part(points=smooth(_mirrored(side), 5))]
    if stream.chance(0.5):
        flip = 1.0 if lean < 0 else -1.0
        blade = [(0.0, -0.86), (flip * 0.2, -1.04), (flip * 0.48, -1.0), (flip * 0.26, -0.84)]
        parts.insert(0, Part(points=smooth(blade, 4)))
    return parts


def block(stream: Stream) -> list[Part]:
    """Return a rectangle or a parallelogram: a distractor, never a class."""
    height = stream.uniform(0.4, 1.0)
    lean = stream.signed(0.3)
    upper, lower = [(-1.0 + lean, -height), (1.0 + lean, -height)], [(1.0 - lean, height), (-1.0 - lean, height)]
    return [Part(points=upper + lower)]


def disc(stream: Stream) -> list[Part]:
    """Return an ellipse: a distractor, never a class."""
    return [Part(points=ellipse(0.0, 0.0, 1.0, stream.uniform(0.5, 1.0)))]


def shard(stream: Stream) -> list[Part]:
    """Return an irregular polygon of three to six corners: a distractor, never a class."""
    corners = stream.integer(3, 6)
    drawn = (((k + stream.uniform(0.1, 0.7)) / corners, stream.uniform(0.7, 1.0)) for k in range(corners))
    return [Part(points=around(drawn))]


Shape = Callable[[Stream], list[Part]]

SHAPES: dict[str, Shape] = {draw.__name__: draw for draw in (bell, fish, flower, gear, jug, leaf, mug, pear)}
"""The silhouettes that classes have."""

DISTRACTORS: dict[str, Shape] = {"block": block, "disc": disc, "shard": shard}
"""Silhouettes that no class has: they carry class textures around the picture."""


def outline(name: str, stream: Stream) -> list[Part]:
    """Draw one silhouette: parts centred on its bounding box, the longer side spanning -1..1."""
    parts = (SHAPES | DISTRACTORS)[name](stream)
    solid = [point for part in parts if part.op == "add" for point in part.points]
    xs, ys = [x for x, _ in solid], [y for _, y in solid]
    cx, cy = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    half = max(max(xs) - min(xs), max(ys) - min(ys)) / 2
    return [Part(points=[((x - cx) / half, (y - cy) / half) for x, y in part.points], op=part.op) for part in parts]
