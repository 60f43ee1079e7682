"""Text of others where people read it: names may hold what moves a cursor, hides text or lets it read backwards."""

from __future__ import annotations

from collections.abc import Iterable

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


# What ends a line, or reorders it so that it reads otherwise than it is.
_CONTROLS |= {code: f"\\u{code:04x}" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}


def plain(text: str) -> str:
    """Replace control characters but line breaks and tabs by their codes."""
    return text.translate(_CONTROLS)


LONGEST = 80
"""Characters; a name inside a file can have millions."""


def brief(value: object) -> str:
    """Return a value's text as one line of at most `LONGEST` characters; a cut one ends in an ellipsis."""
    text = str(value)
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return text if text.isprintable() else repr(text)[1:-1]


_SHOWN = 8


def listed_names(names: Iterable[str]) -> str:
    """Names for a message, the first few of many."""
    found = list(names)
    more = len(found) - _SHOWN
    return ", ".join(map(brief, found[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
