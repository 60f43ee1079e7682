"""A contact sheet of the sample set: `python benchmarks/contact_sheet.py OUT`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from edge_effnet.samples.classes import CLASS_NAMES
from edge_effnet.samples.dataset import draw

_SIDE = 112  # of a picture on the sheet, pixels
_COLUMNS = 8
_MARGIN = 110  # for the names
_QUALITY = 70  # keeps the sheet of the documentation below 400 KB
_USAGE = "usage: python benchmarks/contact_sheet.py OUT.jpg"


def contact_sheet(split: str = "val", columns: int = _COLUMNS, seed: int = 0) -> Image.Image:
    """Lay out the first `columns` pictures of each class of a split, one class a row, named at the left."""
    sheet = Image.new("RGB", (_MARGIN + columns * _SIDE, len(CLASS_NAMES) * _SIDE), "white")
    pen = ImageDraw.Draw(sheet)
    for label, name in enumerate(CLASS_NAMES):
        pen.text((4, label * _SIDE + _SIDE // 2 - 6), name.replace("_", " "), fill="black")
        for column in range(columns):
            # Drawn at twice the side: that is 224, where a network sees it.
            pixels, _ = draw(split, label + len(CLASS_NAMES) * column, 2 * _SIDE, seed)
            small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
            sheet.paste(small, (_MARGIN + column * _SIDE, label * _SIDE))
    return sheet


def main(arguments: list[str]) -> int:
    """Write the sheet to the one path given; return the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(_USAGE + "\n")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    contact_sheet().save(Path(arguments[0]), quality=_QUALITY, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
