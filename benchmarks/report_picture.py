"""The picture of a report at the README's top: title, verdict and headline, small enough to leave room below it.

    quantize --variant b0
    python -m benchmarks.report_picture b0-int8-xnnpack/report.html docs/images/report.png

Needs chromium with chromedriver (`apt-get install chromium-driver`) and selenium, which the extra `dev` brings.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image

from edge_effnet.errors import MachineError
from tests.support.browser import CHROMIUM, DRIVER, browser, picture, show

WIDTH = 860
"""CSS pixels, about as wide as a README is shown."""

SCALE = 2
"""Device pixels for each: letters stay sharp on dense screens."""

COLOURS = 128
"""Of the palette; the page has few."""

LAST = "#verdict"
"""Section that the picture ends with."""


def take(report: Path, out: Path) -> int:
    """Write the picture.

    Args:
        report: a run's report.html.
        out: PNG.

    Returns:
        Its size, bytes.

    Raises:
        MachineError: no browser.
    """
    if not (CHROMIUM and DRIVER):
        raise MachineError("no chromium with chromedriver here; `apt-get install chromium-driver`.")
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as driver:
        show(driver, report.resolve(), width=WIDTH)
        bottom = driver.execute_script(
            "const section = document.querySelector(arguments[0]);"
            "return Math.ceil(section.getBoundingClientRect().bottom) + 24",
            LAST,
        )
        shot = picture(driver, height=bottom, scale=SCALE)
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
    return out.stat().st_size


def main() -> None:
    """Take the picture of the report that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html of a run")
    parser.add_argument("out", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    size = take(arguments.report, arguments.out)
    print(f"{arguments.out}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
