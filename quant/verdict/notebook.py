"""How results show themselves in a notebook: one small table, every text escaped."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from quant.metrics.evaluate import Accuracy, Fidelity
    from quant.metrics.tasks.task import Row
    from quant.program.timing import ProgramFigures
    from quant.verdict.outcome import Outcome

_HEAD = ("", "float", "quantized", ".pte")
_CELL = Markup('<td style="text-align:right">{}</td>')
_FIRST = Markup('<td style="text-align:left">{}</td>')


def outcome_html(outcome: Outcome, next_command: Sequence[str] = ()) -> str:
    """Return an outcome as HTML for `_repr_html_`: verdict, table, reasons, next command.

    Args:
        outcome: of `quantize` or `check`.
        next_command: what the user may run next, word by word.
    """
    title = Markup("<p><strong>{}</strong>: {}, {}, {}, {} images, <code>{}</code></p>").format(
        _verdict(outcome),
        outcome.variant,
        outcome.recipe,
        outcome.backend,
        outcome.evaluation_images,
        outcome.artifact,
    )
    head = Markup("").join(Markup('<th style="text-align:right">{}</th>').format(name) for name in _HEAD)
    body = Markup("").join(_row(row) for row in _rows(outcome))
    sentences = (*outcome.verdict.reasons, *outcome.verdict.cautions)
    reasons = Markup("").join(Markup("<li>{}</li>").format(sentence) for sentence in sentences)
    page = Markup("{}<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table><ul>{}</ul>").format(
        title, head, body, reasons
    )
    if next_command:
        page += Markup("<p>Next: <code>{}</code></p>").format(shlex.join(next_command))
    return str(page)


def _verdict(outcome: Outcome) -> str:
    if not outcome.passed:
        return "fail"
    return "pass with caution" if outcome.verdict.cautions else "pass"


def _rows(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    accuracy, fidelity = outcome.quantized or (None, None)
    if outcome.quantized_images != outcome.evaluation_images:
        accuracy = None  # of fewer images
    before, after = outcome.float_program, outcome.pte_program
    return [
        *(
            (
                row.title,
                _text(outcome, row, outcome.float_accuracy),
                _text(outcome, row, accuracy, fidelity),
                _text(outcome, row, outcome.pte_accuracy, outcome.pte),
            )
            for row in outcome.task.rows
            if row.key in (*outcome.task.bounded, "agreement", "sqnr_db")
        ),
        ("latency, ms", _latency(before), "", _latency(after)),
        ("size, MB", f"{before.size_bytes / 1e6:.2f}", "", f"{after.size_bytes / 1e6:.2f}"),
    ]


def _row(cells: Sequence[str]) -> Markup:
    name, *figures = cells
    return Markup("<tr>{}</tr>").format(_FIRST.format(name) + Markup("").join(map(_CELL.format, figures)))


def _latency(program: ProgramFigures) -> str:
    return "" if program.latency_ms is None else f"{program.latency_ms:.2f}"


def _text(outcome: Outcome, row: Row, *figures: Accuracy | Fidelity | None) -> str:
    value = row.value(*figures)
    return "" if value is None else row.text(value, outcome.evaluation_images)
