"""The picture before the camera: background, other objects, the object itself, what hides it, the light."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from edge_effnet.samples import textures
from edge_effnet.samples.classes import ClassSpec, Tier
from edge_effnet.samples.objects import (
    SUPERSAMPLING,
    Pose,
    Skin,
    any_colour,
    mask,
    paint,
    plane,
    pose,
    shadow,
    surface,
    tinted,
    two_tones,
)
from edge_effnet.samples.shapes import DISTRACTORS, SHAPES, Part, Point, around, ellipse, outline, smooth, turn
from edge_effnet.samples.streams import FloatArray, Stream


def _smooth_noise(stream: Stream, cells: int, size: int) -> FloatArray:
    """Noise of one scale, about -1..1, `cells` lattice points across: [size, size]."""
    grid = stream.grid(cells + 2, cells + 2) * 2 - 1
    # Cubic interpolation of white noise shows its lattice, like cloth; smoothed first (1 4 1: the weights of
    # a cubic B-spline at its knots) it looks the same in every direction. 5 restores some contrast.
    grid = grid[:-2] + 4 * grid[1:-1] + grid[2:]
    grid = (grid[:, :-2] + 4 * grid[:, 1:-1] + grid[:, 2:]) * np.float32(1 / (5 * 5))
    return np.asarray(Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC))


def octaves(stream: Stream, size: int, *, coarsest: int = 3, count: int = 5, decay: float = 0.62) -> FloatArray:
    """Noise of several scales, about -1..1: [size, size].

    The grids have the same cells at every size, so the same scene has the same noise at 96 and at 300 pixels.
    """
    total = np.zeros((size, size), dtype=np.float32)
    weight, norm = 1.0, 0.0
    cells = coarsest
    for _ in range(count):
        total += np.float32(weight) * _smooth_noise(stream, cells, size)
        norm += weight
        weight *= decay
        cells = cells * 2 + 1
    return total * np.float32(1.6 / norm)


def _region(stream: Stream, size: int, tier: Tier) -> FloatArray:
    """Fill a picture with one material: a gradient, noise and perhaps a pattern: [3, S, S]."""
    strength = stream.within(tier.background_contrast)
    colours = (any_colour(stream, saturation=0.65), any_colour(stream, saturation=0.65))
    direction = turn(stream.uniform())
    ramp = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    tone = ramp[None, :] * np.float32(direction[0]) + ramp[:, None] * np.float32(direction[1])
    tone = tone * np.float32(stream.uniform(0.1, 0.8)) + np.float32(0.5)
    tone = tone + octaves(stream, size, coarsest=stream.integer(2, 5)) * np.float32(strength * 0.5)
    if stream.chance(tier.pattern):
        texture = stream.pick(list(textures.TEXTURES.values()))
        where = pose(stream, centre=(0.5, 0.5), extent=1.0, spin=1.0, tilt=0.3)
        place, _, _ = surface(stream, where, range(size), range(size), size, stream.uniform(5.0, 20.0))
        tone = tone + (texture(place, stream) - np.float32(0.5)) * np.float32(strength)
    return tinted(np.clip(tone, 0, 1), colours)


def _rod(stream: Stream, x: float, y: float) -> list[Point]:
    """Corners of a thin straight rod around (x, y)."""
    c, s = turn(stream.uniform())
    length, half = stream.uniform(0.1, 0.9), stream.uniform(0.003, 0.02)
    ends = ((-1, 1), (1, 1), (1, -1), (-1, -1))
    return [
        (x + along * length * c - side * half * s, y + along * length * s + side * half * c) for along, side in ends
    ]


def _clutter(canvas: FloatArray, stream: Stream, count: int) -> None:
    """Scatter plain polygons, discs and lines over the canvas [3, S, S] in place."""
    size = canvas.shape[1]
    side = size * SUPERSAMPLING
    # Colours on black and their coverage are averaged down apart: premultiplied, as compositing needs them.
    colours, cover = Image.new("RGB", (side, side)), Image.new("L", (side, side))
    draw_colours, draw_cover = ImageDraw.Draw(colours), ImageDraw.Draw(cover)
    for _ in range(count):
        red, green, blue = (round(c * 255) for c in any_colour(stream, saturation=0.8))
        x, y = stream.uniform(), stream.uniform()
        radius = stream.uniform(0.02, 0.05) / stream.uniform(0.12, 1.0)  # many small ones, few large ones
        kind = stream.uniform()
        if kind < 0.3:
            points = ellipse(x, y, radius, radius * stream.uniform(0.4, 1.0), 24)
        elif kind < 0.45:
            points = _rod(stream, x, y)
        else:
            corners = stream.integer(3, 6)
            around = [turn((k + stream.uniform(0, 0.8)) / corners) for k in range(corners)]
            points = [(x + radius * c, y + radius * s) for c, s in around]
        pixels = [(px * side, py * side) for px, py in points]
        draw_colours.polygon(pixels, fill=(red, green, blue))
        draw_cover.polygon(pixels, fill=255)
    canvas *= 1 - plane(cover.reduce(SUPERSAMPLING))
    canvas += planes(colours.reduce(SUPERSAMPLING))


def background(stream: Stream, size: int, tier: Tier) -> FloatArray:
    """One or two materials (a wall, perhaps a floor), clutter, depth of field: [3, S, S]."""
    canvas = _region(stream, size, tier)
    if stream.chance(0.45):
        floor = _region(stream, size, tier)
        horizon = round(stream.uniform(0.25, 0.75) * size)
        canvas[:, horizon:] = floor[:, horizon:]
    _clutter(canvas, stream, round(stream.within(tier.clutter)))
    blur = stream.uniform(0.0, 0.012) if stream.chance(0.6) else 0.0
    return blurred(canvas, blur * size)


def blurred(canvas: FloatArray, radius: float) -> FloatArray:
    """Gaussian blur of a picture [3, S, S]; 8 bits are enough, noise comes later."""
    if radius < 0.2:
        return canvas
    return planes(to_image(canvas).filter(ImageFilter.GaussianBlur(radius)))


def planes(image: Image.Image) -> FloatArray:
    """Split an 8-bit picture of C channels into planes of 0..1: float32 [C, S, S]."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(image), 2, 0)).astype(np.float32) * np.float32(1 / 255)


def to_image(canvas: FloatArray) -> Image.Image:
    """Round planes [3, S, S] of 0..1 to an 8-bit RGB picture."""
    levels = (np.clip(canvas, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(levels, 0, 2)))


def _distractor(canvas: FloatArray, stream: Stream, tier: Tier, extent: float) -> None:
    """Put one other object into the canvas: a class texture on a foreign shape, or a plain class shape."""
    centre, own_extent = (stream.uniform(), stream.uniform()), extent * stream.uniform(0.35, 0.8)
    where = pose(stream, centre=centre, extent=own_extent, spin=0.3, tilt=tier.tilt)
    contrast = stream.within(tier.contrast)
    if stream.chance(0.6):
        shape, texture = stream.pick(list(DISTRACTORS)), stream.pick(list(textures.TEXTURES.values()))
    else:
        shape, texture = stream.pick(list(SHAPES)), textures.plain
    found = mask(outline(shape, stream), where, canvas.shape[1])
    if found is None:
        return
    skin = Skin(texture=texture, colours=two_tones(stream, contrast), periods=stream.within(tier.periods) * 0.7)
    shadow(canvas, found, strength=stream.within(tier.shadow), shift=(0.0, 0.02 * extent), softness=0.02)
    paint(canvas, found, where, skin, stream)


def _placed(stream: Stream, parts: list[Part], tier: Tier) -> Pose:
    """Draw the object's pose and slide it so that it stays in the picture, but for `tier.crop` of it."""
    extent = stream.within(tier.extent)
    slack = extent * tier.crop * stream.uniform()
    free = pose(stream, centre=(0.0, 0.0), extent=extent, spin=tier.spin, tilt=tier.tilt)
    landed = [free.project(point) for part in parts if part.op == "add" for point in part.points]
    centre = []
    for axis in (0, 1):
        low = -min(point[axis] for point in landed) - slack
        high = 1.0 - max(point[axis] for point in landed) + slack
        centre.append((low + high) / 2 if low > high else stream.uniform(low, high))
    return Pose(centre=(centre[0], centre[1]), matrix=free.matrix, vanish=free.vanish)


def _occluder(canvas: FloatArray, stream: Stream, tier: Tier, target: Point, extent: float) -> None:
    """Put something in front of a place of the object: a bar across the picture or a rounded lump."""
    width = stream.within(tier.occluder_width) * extent
    x = target[0] + stream.signed(0.3) * extent
    y = target[1] + stream.signed(0.3) * extent
    if stream.chance(0.5):
        c, s = turn(stream.uniform())
        bow = stream.signed(0.15)
        points = []
        for along, side in ((-1.2, 1), (0, 1), (1.2, 1), (1.2, -1), (0, -1), (-1.2, -1)):
            across = side * width * 0.4 * stream.uniform(0.75, 1.25) + (bow if along else 0.0)
            points.append((along * c - across * s, along * s + across * c))
        lump = smooth(points, 6)
    else:
        corners = stream.integer(5, 9)
        drawn = (((k + stream.signed(0.25)) / corners, width * stream.uniform(0.6, 1.1)) for k in range(corners))
        lump = smooth(around(drawn), 5)
    flat = Pose(centre=(x, y), matrix=(1.0, 0.0, 0.0, 1.0), vanish=(0.0, 0.0))
    found = mask([Part(points=lump)], flat, canvas.shape[1])
    if found is None:
        return
    texture = textures.plain if stream.chance(0.7) else stream.pick(list(textures.TEXTURES.values()))
    skin = Skin(texture=texture, colours=two_tones(stream, stream.uniform(0.05, 0.3)), periods=stream.uniform(6, 30))
    shadow(canvas, found, strength=stream.within(tier.shadow), shift=(0.0, 0.01), softness=0.012)
    paint(canvas, found, flat, skin, stream)


def _light(canvas: FloatArray, stream: Stream, tier: Tier) -> None:
    """Uneven light over the whole canvas [3, S, S] in place: a gradient, a soft shadow edge, dark corners."""
    size = canvas.shape[1]
    ramp = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) * 2 - 1
    x, y = ramp[None, :], ramp[:, None]
    c, s = turn(stream.uniform())
    fall = np.float32(stream.within(tier.lighting))
    gain = 1 + fall * np.float32(0.6) * (x * np.float32(c) + y * np.float32(s))
    if stream.chance(0.5):
        c, s = turn(stream.uniform())
        distance = x * np.float32(c) + y * np.float32(s) - np.float32(stream.signed(0.6))
        softness = stream.uniform(0.02, 0.5)
        gain = gain * (1 - np.float32(stream.within(tier.shadow) * 0.8) * textures.edge(distance, softness))
    gain = gain * (1 - fall * np.float32(stream.uniform(0.0, 0.25)) * (x * x + y * y))
    canvas *= gain


def compose(spec: ClassSpec, tier: Tier, stream: Stream, size: int) -> FloatArray:
    """Draw the scene of one class at one tier, before the camera: float32, about 0..1, [3, S, S]."""
    canvas = background(stream, size, tier)
    # Dirt and grain of one kind everywhere, twice as strong on the background.
    grain = octaves(stream, size, coarsest=9, count=4, decay=0.8) * np.float32(stream.uniform(0.01, 0.1))
    canvas *= 1 + 2 * grain
    parts = outline(spec.shape, stream)
    where = _placed(stream, parts, tier)
    xx, xy, yx, yy = where.matrix
    extent = 2 * abs(xx * yy - xy * yx) ** 0.5
    for _ in range(round(stream.within(tier.distractors))):
        _distractor(canvas, stream, tier, extent)
    found = mask(parts, where, size)
    assert found is not None, "the object's own pose keeps it in the picture"
    skin = Skin(
        texture=textures.TEXTURES[spec.texture],
        colours=two_tones(stream, stream.within(tier.contrast)),
        periods=stream.within(tier.periods),
    )
    shift = (stream.signed(0.06) * extent, stream.uniform(0.0, 0.1) * extent)
    shadow(canvas, found, strength=stream.within(tier.shadow), shift=shift, softness=stream.uniform(0.01, 0.03))
    paint(canvas, found, where, skin, stream)
    for _ in range(round(stream.within(tier.occluders))):
        _occluder(canvas, stream, tier, where.centre, extent)
    canvas *= 1 + grain
    _light(canvas, stream, tier)
    return canvas
