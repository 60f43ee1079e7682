"""Matplotlib figures -> inline SVG that takes its colours and its font from the page.

Figures are drawn in placeholder colours, which become CSS variables: one drawing is right in light and in dark. Style
attributes become presentation attributes, since the page's Content-Security-Policy allows no inline styles. The same
figure gives the same bytes.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIABLES = ("ink", "muted", "line", "band", "accent", "other", "bad")
"""CSS variables of the page."""

COLOURS = {name: f"#0000{index:02x}" for index, name in enumerate(_VARIABLES, start=1)}
"""What to draw with."""

_BY_CODE = {code: f"var(--{name})" for name, code in COLOURS.items()}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-effnet",
    # A class named `$x$` is text.
    "text.parse_math": False,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlecolor": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.labelsize": 11,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "axes.unicode_minus": True,
}

DASHED: dict[str, Any] = {"color": COLOURS["other"], "linewidth": 1, "linestyle": (0, (4, 3))}
"""A line that something is held against."""

CIRCLE: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 11,
    "color": "none",
    "markeredgecolor": COLOURS["ink"],
}
"""Around the point that was chosen."""

POINTS = 72.0
_FONT_ONLY = {"font-family", "font", "font-stretch", "font-variant", "font-style"}
_LABEL_LENGTH = 28


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Give a figure in the report's style; sides in units of the SVG's view box, text is 10 or 11 of them high."""
    # It takes half a second to import, and runs without a plot need none of it.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure as MatplotlibFigure  # noqa: PLC0415

    with mpl.rc_context(_STYLE):
        yield MatplotlibFigure(figsize=(width / POINTS, height / POINTS), layout="constrained")


Spot = tuple[float, float, str]
"""A strip of a plot, from left to right in units of the view box, and what it says to a pointer."""


def to_svg(figure: Figure, *, name: str, label: str, spots: Sequence[Spot] = ()) -> Markup:
    """Write a figure of `drawing`, inside its block.

    Args:
        figure: the drawing.
        name: makes the ids of several SVGs in one page different.
        label: text alternative: what the plot shows.
        spots: what a pointer is told.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(file.getvalue())
    view_box = root.get("viewBox", "")
    for element in root.iter():
        _adapt(element, name)
    for parent in root.iter():
        # What the style element says stands on the root.
        for child in [child for child in parent if child.tag in ("style", "metadata")]:
            parent.remove(child)
    _drop_ids(root)
    height = view_box.split()[-1]
    for left, right, text in spots:
        place = {"x": f"{left:.1f}", "y": "0", "width": f"{right - left:.1f}", "height": height}
        strip = ElementTree.SubElement(root, "rect", {"class": "spot", **place})
        title = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in text)
        ElementTree.SubElement(strip, "title").text = title
    root.attrib.clear()
    root.attrib |= {
        "viewBox": view_box,
        "class": "plot",
        "role": "img",
        "aria-label": label,
        "stroke-linejoin": "round",
    }
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def frame(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an axis of percentages: at least a point apart, with room around."""
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, max(high - low, 1.0) / 2
    return middle - 1.3 * half, middle + 1.3 * half


def plain(text: str) -> str:
    """Make a label of a text that users gave: one short line without control characters."""
    line = "".join("\N{MIDDLE DOT}" if unicodedata.category(c)[0] == "C" else c for c in text)
    return line if len(line) <= _LABEL_LENGTH else line[: _LABEL_LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _adapt(element: ElementTree.Element, name: str) -> None:
    element.tag = element.tag.rsplit("}", 1)[-1]
    element.attrib = {key.rsplit("}", 1)[-1]: value for key, value in element.attrib.items()}
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key and key not in _FONT_ONLY:
            element.set(key, _BY_CODE.get(value, value))
    for key, value in element.attrib.items():
        changed = _BY_CODE.get(value, value)
        changed = re.sub(r"url\(#(.+?)\)", rf"url(#{name}-\1)", changed)
        if key == "id":
            changed = f"{name}-{value}"
        elif key == "href":
            changed = f"#{name}-{value.removeprefix('#')}"
        element.set(key, changed)


def _drop_ids(root: ElementTree.Element) -> None:
    """Remove the ids that nothing refers to."""
    used = {element.get("href", "").removeprefix("#") for element in root.iter()}
    used |= {
        name for each in root.iter() for value in each.attrib.values() for name in re.findall(r"url\(#(.+?)\)", value)
    }
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
