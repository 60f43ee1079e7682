"""One textured silhouette in space: its pose, its mask in the picture, its colours and its shaded surface."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from edge_effnet.samples.shapes import Part, Point, turn
from edge_effnet.samples.streams import FloatArray, Stream
from edge_effnet.samples.textures import Surface, Texture

SUPERSAMPLING = 2  # masks are drawn this much larger and averaged down: three grey levels an axis are enough


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Projective map from a silhouette's own -1..1 coordinates to the picture's 0..1 ones."""

    centre: Point
    """Where the silhouette's origin lands."""
    matrix: tuple[float, float, float, float]
    """Linear part (xx, xy, yx, yy)."""
    vanish: Point
    """How fast it recedes along its own x and y: the perspective divide is 1 + vanish . (x, y)."""

    def project(self, point: Point) -> Point:
        """Where a point of the silhouette lands in the picture."""
        x, y = point
        xx, xy, yx, yy = self.matrix
        depth = 1.0 + self.vanish[0] * x + self.vanish[1] * y
        return self.centre[0] + (xx * x + xy * y) / depth, self.centre[1] + (yx * x + yy * y) / depth

    def unproject(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Silhouette coordinates of picture coordinates, which broadcast against each other: both [H, W]."""
        dx, dy = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        xx, xy, yx, yy = (np.float32(value) for value in self.matrix)
        gx, gy = np.float32(self.vanish[0]), np.float32(self.vanish[1])
        a, b = xx - gx * dx, xy - gy * dx
        c, d = yx - gx * dy, yy - gy * dy
        # Towards the horizon the determinant goes through zero: hold it, to keep x and y finite.
        facing = xx * yy - xy * yx
        scale = np.float32(1) / (np.maximum((a * d - b * c) / facing, np.float32(1e-3)) * facing)
        return (d * dx - b * dy) * scale, (a * dy - c * dx) * scale


def pose(stream: Stream, *, centre: Point, extent: float, spin: float, tilt: float) -> Pose:
    """Draw a pose of about this extent (fraction of the picture); `spin` and `tilt` as in `Tier`."""
    half = extent / 2
    mirror = -1.0 if stream.chance(0.5) else 1.0
    cos, sin = turn(stream.bell() * spin)
    # Foreshorten along a random direction of the silhouette, and recede along the same direction.
    cos_axis, sin_axis = turn(stream.uniform())
    squeeze = stream.uniform(0.0, tilt)
    keep = 1.0 - squeeze
    sxx = keep + squeeze * cos_axis * cos_axis
    sxy = squeeze * cos_axis * sin_axis
    syy = keep + squeeze * sin_axis * sin_axis
    recede = stream.signed(0.55) * squeeze
    matrix = (
        half * (cos * sxx - sin * sxy) * mirror,
        half * (cos * sxy - sin * syy),
        half * (sin * sxx + cos * sxy) * mirror,
        half * (sin * sxy + cos * syy),
    )
    return Pose(centre=centre, matrix=matrix, vanish=(-sin_axis * recede * mirror, cos_axis * recede))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mask:
    """Coverage of an object inside its bounding box, with a margin of two pixels where the picture has them."""

    rows: range
    columns: range
    cover: Image.Image
    """Mode L: 255 where the object hides what is behind it."""
    ink: Image.Image
    """Mode L: 255 where a part is shaded (an eye, a rib, the inside of a cup)."""


def mask(parts: list[Part], where: Pose, size: int) -> Mask | None:
    """Draw the parts at their pose; None when nothing of them is in the picture."""
    outlines = [(part.op, [where.project(point) for point in part.points]) for part in parts]
    xs = [x * size for op, points in outlines if op == "add" for x, _ in points]
    ys = [y * size for op, points in outlines if op == "add" for _, y in points]
    rows = range(max(int(min(ys)) - 2, 0), min(int(max(ys)) + 3, size))
    columns = range(max(int(min(xs)) - 2, 0), min(int(max(xs)) + 3, size))
    height, width = len(rows), len(columns)
    if height < 2 or width < 2:
        return None
    cover = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    ink = cover.copy()
    draw_cover, draw_ink = ImageDraw.Draw(cover), ImageDraw.Draw(ink)
    for op, points in outlines:
        corners = ((x * size - columns.start, y * size - rows.start) for x, y in points)
        pixels = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in corners]
        if op == "ink":
            draw_ink.polygon(pixels, fill=255)
        else:
            draw_cover.polygon(pixels, fill=255 if op == "add" else 0)
    cover, ink = cover.reduce(SUPERSAMPLING), ink.reduce(SUPERSAMPLING)
    return Mask(rows=rows, columns=columns, cover=cover, ink=ink)


def plane(image: Image.Image) -> FloatArray:
    """Mode L as float32 0..1: [H, W]."""
    return np.asarray(image, dtype=np.float32) * np.float32(1 / 255)


@dataclass(frozen=True, kw_only=True, slots=True)
class Skin:
    """What covers a silhouette."""

    texture: Texture
    """Tone of each place."""
    colours: tuple[Colour, Colour]
    """Of tone 0 and tone 1."""
    periods: float
    """Of the texture across the silhouette's longer side."""


def surface(
    stream: Stream, where: Pose, rows: range, columns: range, size: int, periods: float
) -> tuple[Surface, FloatArray, FloatArray]:
    """Texture coordinates of these pixels, turned and bent as on a curved thing; and the silhouette's x, y."""
    step = np.float32(1.0 / size)
    ys, xs = ((np.asarray(side, dtype=np.float32) + np.float32(0.5)) * step for side in (rows, columns))
    x, y = where.unproject(xs[None, :], ys[:, None])
    # Outside the silhouette the unprojection may run away towards the horizon.
    x, y = np.clip(x, -2, 2), np.clip(y, -2, 2)
    cos, sin = turn(stream.signed(0.12))  # most patterns follow the thing they are on
    frequency = periods / 2
    bulge, bends = stream.signed(0.16), [np.float32(stream.signed(0.1)) for _ in range(4)]
    swell = 1 + np.float32(bulge) * (x * x + y * y)
    u = x * swell + bends[0] * x * y + bends[1] * y * y
    v = y * swell + bends[2] * x * y + bends[3] * x * x
    p = (u * np.float32(cos) - v * np.float32(sin)) * np.float32(frequency) + np.float32(stream.uniform(0, 16))
    q = (u * np.float32(sin) + v * np.float32(cos)) * np.float32(frequency) + np.float32(stream.uniform(0, 16))
    xx, xy, yx, yy = where.matrix
    half = abs(xx * yy - xy * yx) ** 0.5  # the scale of the pose, as the square root of its area
    return Surface(p=p, q=q, footprint=frequency / (half * size)), x, y


def _volume(stream: Stream, cover: Image.Image, x: FloatArray, y: FloatArray) -> FloatArray:
    """Light on a rounded body: a gradient across it, its rim brighter on one side: [H, W]."""
    light = turn(stream.uniform())
    slope, relief = stream.uniform(0.0, 0.3), stream.uniform(0.0, 0.7)
    radius = max(min(cover.size) * stream.uniform(0.04, 0.1), 0.5)
    soft = cover.filter(ImageFilter.GaussianBlur(radius))
    offset = (round(light[0] * radius), round(light[1] * radius))
    towards, away = (plane(ImageChops.offset(soft, -s * offset[0], -s * offset[1])) for s in (1, -1))
    shade = 1 + np.float32(slope * light[0]) * x + np.float32(slope * light[1]) * y
    lit: FloatArray = np.clip(shade + np.float32(relief) * (towards - away), 0.25, 1.8)
    return lit


def tinted(tone: FloatArray, colours: tuple[Colour, Colour]) -> FloatArray:
    """Colour a tone [H, W]: the first colour at 0, the second at 1: [3, H, W]."""
    first, second = (np.asarray(colour, dtype=np.float32)[:, None, None] for colour in colours)
    return first + tone * (second - first)


def paint(canvas: FloatArray, found: Mask, where: Pose, skin: Skin, stream: Stream) -> None:
    """Paint the object over the canvas [3, S, S] in place."""
    size = canvas.shape[1]
    place, x, y = surface(stream, where, found.rows, found.columns, size, skin.periods)
    tone = skin.texture(place, stream)
    shade = _volume(stream, found.cover, x, y)
    shade = shade * (1 - plane(found.ink) * np.float32(stream.uniform(0.35, 0.75)))
    region = canvas[:, found.rows.start : found.rows.stop, found.columns.start : found.columns.stop]
    region += plane(found.cover) * (tinted(tone, skin.colours) * shade - region)


def shadow(canvas: FloatArray, found: Mask, *, strength: float, shift: Point, softness: float) -> None:
    """Darken the canvas [3, S, S] in place where the object's shadow falls; lengths in picture sides."""
    size = canvas.shape[1]
    grow = max(round(softness * size * 2), 1)
    dx, dy = round(shift[0] * size), round(shift[1] * size)
    width, height = found.cover.size
    padded = Image.new("L", (width + 2 * grow, height + 2 * grow))
    padded.paste(found.cover, (grow, grow))
    fallen = plane(padded.filter(ImageFilter.GaussianBlur(softness * size)))
    top, left = found.rows.start - grow + dy, found.columns.start - grow + dx
    rows = slice(max(top, 0), min(top + fallen.shape[0], size))
    columns = slice(max(left, 0), min(left + fallen.shape[1], size))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    part = fallen[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    canvas[:, rows, columns] *= 1 - np.float32(strength) * part


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
        red, green, blue = (channel * gain for channel in colour)
    else:
        mix = (target - now) / (1.0 - now)
        red, green, blue = (channel + (1 - channel) * mix for channel in colour)
    return red, green, blue


def two_tones(stream: Stream, contrast: float) -> tuple[Colour, Colour]:
    """Two colours whose luma differs by `contrast` (0..0.8), in either order, of like or unlike hues."""
    low = stream.uniform(0.06, 0.94 - contrast)
    first = any_colour(stream)
    second = first if stream.chance(0.4) else any_colour(stream)
    dark, light = at_luma(first, low), at_luma(second, low + contrast)
    return (dark, light) if stream.chance(0.5) else (light, dark)
