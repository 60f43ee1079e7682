"""The confusion matrix of the .pte minus that of float, where it is small enough to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from quant.report.facts import Facts

LARGEST = 14
"""Classes; a larger matrix is a list of the cells that changed most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """Rows are true classes (without labels, float's), columns answers."""

    names: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]
    """Images that the .pte puts there beyond those that float does."""


def matrix_of(facts: Facts) -> Matrix | None:
    """Lay the changes out; None where nothing changed or the matrix would be too large."""
    known = [row.name for row in facts.classes or ()]
    changes = {(change.name, change.answer): change.pte_count - change.float_count for change in facts.confusion}
    names = list(dict.fromkeys([*known, *(name for cell in changes for name in cell)]))
    if not changes or len(names) > LARGEST:
        return None
    return Matrix(
        names=tuple(names),
        cells=tuple(tuple(changes.get((row, column), 0) for column in names) for row in names),
    )
