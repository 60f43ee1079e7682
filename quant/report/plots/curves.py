"""The small plots: learning curve, fallback curve, and what changes a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from quant.metrics.logit_changes import LogitChange
from quant.report.facts import Search, Training
from quant.report.formats import percent
from quant.report.plots.svg import CIRCLE, COLOURS, DASHED, drawing, frame, to_svg
from quant.thresholds import TARGET_CHANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_WIDTH, _HEIGHT = 460, 340


def plot_training(training: Training) -> Markup:
    """Draw training loss and what the epochs were ranked by; of at least one row."""
    rows = training.rows
    steps = [row["step"] or 0.0 for row in rows]
    # Without labels there is no top-1.
    key, name = ("val_top1", "top-1") if "val_top1" in rows[0] else ("val_agreement", "agreement")
    judged = [100 * (row.get(key) or 0.0) for row in rows]
    with drawing(_WIDTH, _HEIGHT) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        above.set_title("Training loss")
        lost = [i for i, row in enumerate(rows) if row["train_loss"] is not None]
        above.plot(
            [steps[i] for i in lost], [rows[i]["train_loss"] for i in lost], marker="o", color=COLOURS["accent"]
        )
        below.set_title(f"Selection images, {name}, %")
        below.plot(steps, judged, marker="o", color=COLOURS["accent"])
        below.plot([steps[training.best_epoch]], [judged[training.best_epoch]], **CIRCLE)
        for panel in (above, below):
            panel.margins(y=0.25)
        below.set_xlabel("step")
        label = f"Learning curve over {training.steps} steps; kept: epoch {training.best_epoch} (circled)."
        return to_svg(figure, name="training", label=label)


def plot_search(search: Search, *, min_agreement: float | None) -> Markup:
    """Draw the sets of float layers that were tried, at least one, and the agreement wanted, share of 1."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  (see `drawing`)

    ordered = sorted(search.points, key=lambda point: len(point.float_layers))
    x = [len(point.float_layers) for point in ordered]
    place = ordered.index(search.points[search.chosen])
    with drawing(_WIDTH, _HEIGHT) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        agreement = [100 * point.agreement for point in ordered]
        chance = [100 * point.chance for point in ordered]
        _draw_curve(above, x, agreement, place, "Agrees with float, %", min_agreement)
        _draw_curve(below, x, chance, place, "Chance that the verdict holds, %", TARGET_CHANCE)
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        below.set_xlabel("layers in float")
        chosen = search.points[search.chosen]
        label = (
            f"Agreement with float against the number of layers in float, {len(x)} sets tried. Chosen: "
            f"{len(chosen.float_layers)} layers, {percent(chosen.agreement, search.images)} %, "
            f"{chosen.added_ms:.2f} ms added."
        )
        return to_svg(figure, name="search", label=label)


def _draw_curve(
    panel: Axes, x: Sequence[int], y: Sequence[float], chosen: int, title: str, wanted: float | None
) -> None:
    panel.set_title(title)
    panel.plot(x, y, marker="o", markersize=5, color=COLOURS["accent"])
    panel.plot([x[chosen]], [y[chosen]], **CIRCLE)
    limits = [] if wanted is None else [100 * wanted]
    for limit in limits:
        panel.axhline(limit, **DASHED)
    panel.margins(x=0.08)
    panel.set_ylim(frame([*y, *limits]))


def plot_changes(images: Sequence[LogitChange]) -> Markup:
    """Draw the images, at least one, with the line above which a class changes."""
    flipped = [image for image in images if image.flipped]
    kept = [image for image in images if not image.flipped]
    with drawing(_WIDTH, 320) as figure:
        panel = figure.subplots()
        for some, colour, size in ((kept, "accent", 3.5), (flipped, "bad", 6.0)):
            x, y = [image.margin for image in some], [image.gained for image in some]
            panel.plot(x, y, "o", markersize=size, color=COLOURS[colour], markeredgewidth=0, linestyle="none")
        low, high = min(image.gained for image in images), max(image.gained for image in images)
        room = 0.15 * max(high - low, 0.1)
        panel.set_ylim(low - room, high + room)
        panel.set_xlim(0.0, 1.05 * max(image.margin for image in images) + 0.01)
        end = min(panel.get_xlim()[1], high + room)
        panel.plot([0.0, end], [0.0, end], **DASHED)
        panel.set(xlabel="float's margin over the rival, logits", ylabel="gain of the rival, logits")
        label = (
            f"{len(images)} images: the gain of the nearest rival against float's margin over it, in logits. "
            f"{len(flipped)} lie above the dashed line and changed class."
        )
        return to_svg(figure, name="changes", label=label)
