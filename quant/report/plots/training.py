"""The learning curve of quantization-aware training."""

from __future__ import annotations

from markupsafe import Markup

from quant.report.facts import Training
from quant.report.plots.svg import COLOURS, drawing, to_svg

_WIDTH, _HEIGHT = 460, 340


def plot_training(training: Training) -> Markup:
    """Draw training loss and what the epochs were ranked by.

    Args:
        training: with at least one row.
    """
    rows = training.rows
    steps = [row["step"] or 0.0 for row in rows]
    # Without labels there is no top-1.
    key, name = ("val_top1", "top-1") if "val_top1" in rows[0] else ("val_agreement", "agreement")
    judged = [100 * (row.get(key) or 0.0) for row in rows]
    with drawing(_WIDTH, _HEIGHT) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        above.set_title("Training loss")
        loss = [
            (step, row["train_loss"]) for step, row in zip(steps, rows, strict=True) if row["train_loss"] is not None
        ]
        above.plot([step for step, _ in loss], [value for _, value in loss], marker="o", color=COLOURS["accent"])
        below.set_title(f"Selection images, {name}, %")
        below.plot(steps, judged, marker="o", color=COLOURS["accent"])
        below.plot(
            [steps[training.best_epoch]],
            [judged[training.best_epoch]],
            "o",
            markersize=11,
            color="none",
            markeredgecolor=COLOURS["ink"],
        )
        for panel in (above, below):
            panel.margins(y=0.25)
        below.set_xlabel("step")
        label = f"Learning curve over {training.steps} steps; kept: epoch {training.best_epoch} (circled)."
        return to_svg(figure, name="training", label=label)
