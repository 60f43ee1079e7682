"""Names and values of files that others made, as sentences show them."""

from __future__ import annotations

LONGEST = 80
"""Characters; a name inside a file can have millions."""


def brief(value: object) -> str:
    """Return a value's text as one line of at most `LONGEST` characters; a cut one ends in an ellipsis."""
    text = str(value)
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return text if text.isprintable() else repr(text)[1:-1]
