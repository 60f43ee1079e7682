"""What changes a class: float's margin over the nearest rival against what that rival gained, image by image."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from quant.metrics.logit_changes import LogitChange
from quant.report.plots.svg import COLOURS, drawing, to_svg

_WIDTH, _HEIGHT = 460, 320


def plot_changes(images: Sequence[LogitChange]) -> Markup:
    """Draw them, with the line above which a class changes.

    Args:
        images: at least one.
    """
    flipped = [image for image in images if image.flipped]
    kept = [image for image in images if not image.flipped]
    with drawing(_WIDTH, _HEIGHT) as figure:
        panel = figure.subplots()
        for some, colour, size in ((kept, "accent", 3.5), (flipped, "bad", 6.0)):
            x, y = [image.margin for image in some], [image.gained for image in some]
            panel.plot(x, y, "o", markersize=size, color=COLOURS[colour], markeredgewidth=0, linestyle="none")
        low, high = min(image.gained for image in images), max(image.gained for image in images)
        room = 0.15 * max(high - low, 0.1)
        panel.set_ylim(low - room, high + room)
        panel.set_xlim(0.0, 1.05 * max(image.margin for image in images) + 0.01)
        end = min(panel.get_xlim()[1], high + room)
        panel.plot([0.0, end], [0.0, end], color=COLOURS["other"], linewidth=1, linestyle=(0, (4, 3)))
        panel.set(xlabel="float's margin over the nearest rival, logits", ylabel="what the rival gained")
        label = (
            f"{len(images)} images: float's margin over the nearest rival against what that rival gained. "
            f"{len(flipped)} lie above the dashed line and changed class."
        )
        return to_svg(figure, name="changes", label=label)
