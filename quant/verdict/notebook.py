"""How results show themselves in a notebook: one small table, every text escaped."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from quant.metrics.evaluate import Accuracy, Fidelity
    from quant.metrics.tasks.task import Row
    from quant.verdict.outcome import Outcome


def outcome_html(outcome: Outcome, next_command: Sequence[str] = ()) -> str:
    """Return an outcome as HTML for `_repr_html_`: verdict, table, reasons, next command.

    Args:
        outcome: of `quantize` or `check`.
        next_command: what the user may run next, word by word.
    """
    verdict = "fail" if not outcome.passed else "pass with caution" if outcome.verdict.cautions else "pass"
    title = Markup("<p><strong>{}</strong>: {}, {}, {}, {} images, <code>{}</code></p>").format(
        verdict, outcome.variant, outcome.recipe, outcome.backend, outcome.evaluation_images, outcome.artifact
    )
    head = _each('<th style="text-align:right">{}</th>', ("", "float", "quantized", ".pte"))
    body = Markup("").join(
        Markup('<tr><td style="text-align:left">{}</td>{}</tr>').format(
            name, _each('<td style="text-align:right">{}</td>', figures)
        )
        for name, *figures in _rows(outcome)
    )
    reasons = _each("<li>{}</li>", (*outcome.verdict.reasons, *outcome.verdict.cautions))
    page = Markup("{}<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table><ul>{}</ul>").format(
        title, head, body, reasons
    )
    if next_command:
        page += Markup("<p>Next: <code>{}</code></p>").format(shlex.join(next_command))
    return str(page)


def _each(element: str, texts: Sequence[str]) -> Markup:
    return Markup("").join(map(Markup(element).format, texts))


def _rows(outcome: Outcome) -> list[tuple[str, ...]]:
    accuracy, fidelity = outcome.quantized or (None, None)
    if outcome.quantized_images != outcome.evaluation_images:
        accuracy = None  # of fewer images
    columns = ((outcome.float_accuracy,), (accuracy, fidelity), (outcome.pte_accuracy, outcome.pte))

    def text(row: Row, figures: Sequence[Accuracy | Fidelity | None]) -> str:
        value = row.value(*figures)
        return "" if value is None else row.text(value, outcome.evaluation_images)

    shown = [row for row in outcome.task.rows if row.key in (*outcome.task.bounded, "agreement", "sqnr_db")]
    programs = (outcome.float_program, outcome.pte_program)
    before, after = ("" if each.latency_ms is None else f"{each.latency_ms:.2f}" for each in programs)
    was, size = (f"{each.size_bytes / 1e6:.2f}" for each in programs)
    return [
        *((row.title, *(text(row, figures) for figures in columns)) for row in shown),
        ("latency, ms", before, "", after),
        ("size, MB", was, "", size),
    ]
