"""The learning curve as CSV and as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from quant.common.atomic_io import write_atomically

COLUMNS = ("step", "epoch", "image_size", "learning_rate", "train_loss")
"""Before those of the validation."""


def write_csv(out: Path, rows: Sequence[dict[str, float]]) -> Path:
    """Write `<out>.curve.csv`; return its path.

    Raises:
        MachineError: the disk is full or not writable.
    """
    path = out.with_suffix(".curve.csv")
    text = io.StringIO()
    columns = tuple(rows[0]) if rows else COLUMNS
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
    return path


def write_png(out: Path, rows: Sequence[dict[str, float]]) -> Path | None:
    """Write `<out>.curve.png`; return its path, or None where matplotlib is not installed.

    Raises:
        MachineError: the disk is full or not writable.
    """
    picture = _draw(rows)
    if picture is None:
        return None
    path = out.with_suffix(".curve.png")
    write_atomically(path, picture)
    return path


def _draw(rows: Sequence[dict[str, float]]) -> bytes | None:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:  # an extra: the CSV says the same
        return None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    loss = figure.subplots()
    top1 = loss.twinx()
    steps = [row["step"] for row in rows]
    # Without labels there is no top-1.
    judged, name = ("val_agreement", "agreement") if rows and "val_top1" not in rows[0] else ("val_top1", "top-1")
    loss.plot(steps, [row["train_loss"] for row in rows], color="tab:blue", marker=".", label="training loss")
    top1.plot(
        steps,
        [100 * row[judged] for row in rows],
        color="tab:orange",
        marker=".",
        label=f"validation {name}",
    )
    for before, after in pairwise(rows):
        if before["image_size"] != after["image_size"]:
            loss.axvline(before["step"], color="grey", linestyle=":")
            loss.annotate(f"{after['image_size']:.0f} px", (before["step"], loss.get_ylim()[1]), va="top")
    loss.set(xlabel="step", ylabel="training loss")
    top1.set(ylabel=f"validation {name} of the averaged weights, %", ylim=(0, 100))
    figure.legend(loc="outside upper right", ncols=2)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
