"""`edge-effnet predict`: parse, call, print, exit code."""

from __future__ import annotations

import csv
import io
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli.help import AsJson
from apps.cli.options import Folder
from apps.cli.render.bars import Bars
from apps.cli.render.plain import write_result
from edge_effnet.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quant.artifact.predict import Prediction

NOTHING = "(none)"


def predict_command(
    folder: Folder,
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option(help="Classes to show per image.")] = 5,
    threads: Annotated[int, typer.Option(help="CPU threads of the runtime.")] = 1,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One row per image and class.")] = False,
) -> None:
    """Show a program's predictions for images, next to float's."""
    if as_json and as_csv:
        raise InputError("--json and --csv: choose one of them.")
    bars = Bars(lines=not as_json and not as_csv)
    with bars.waiting("Loading PyTorch and ExecuTorch"):
        from quant.artifact.open import open_artifact  # noqa: PLC0415
        from quant.artifact.predict import predict  # noqa: PLC0415

    found = predict(open_artifact(folder), images, top=top, threads=threads, progress=bars)
    values = {"predictions": [prediction.to_json() for prediction in found]}
    write_result(values, lambda: _rows(found) if as_csv else _text(found), as_json=as_json)


def _rows(found: Sequence[Prediction]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("image", "rank", "class", "probability", "float_class", "float_probability"))
    for prediction in found:
        # Of several labels one of the two may say more.
        for rank, (pte, other) in enumerate(zip_longest(prediction.pte, prediction.float), start=1):
            own = ("", "") if pte is None else (pte.name, f"{pte.probability:.6f}")
            floats = ("", "") if other is None else (other.name, f"{other.float_probability:.6f}")
            rows.writerow((prediction.image, rank, *own, *floats))
    return text.getvalue()


def _text(found: Sequence[Prediction]) -> str:
    lines = []
    for prediction in found:
        said = ", ".join(answer.name for answer in prediction.float[: 1 if prediction.task.exclusive else None])
        lines.append(prediction.image + (f"  (float: {said or NOTHING})" if prediction.agrees is False else ""))
        for answer in prediction.pte:
            numbers = (
                (f"{100 * number:5.1f} %" if prediction.agrees is not None else f"{number:.6g}")
                for number in (answer.probability, answer.float_probability)
            )
            lines.append(f"  .pte {'  float '.join(numbers)}  {answer.name}")
        if not prediction.pte:
            lines.append(f"  {NOTHING}")
    return "".join(f"{line}\n" for line in lines)
