"""Class names, wherever they come from: each is one line of `labels.txt`, to every reader of lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

# Control characters, surrogates, and Unicode's own ends of line and paragraph: readers that split at one of them
# would give every later class another's name.
_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_line_of_text(name: str) -> bool:
    """Whether a class name can be a line of `labels.txt`: not empty, and nothing in it that ends a line somewhere."""
    return bool(name) and not any(unicodedata.category(letter) in _NOT_TEXT for letter in name)


def require_class_names(names: Iterable[object], where: object) -> tuple[str, ...]:
    """Return the names, each a line of text.

    Args:
        names: by class index.
        where: the file that has them.

    Raises:
        InputError: one that is no string, or no line of text.
    """
    found = []
    for name in names:
        if not isinstance(name, str) or not is_line_of_text(name):
            raise InputError(f"{where}: class name {brief(repr(name))} is not one line of text; rename it there.")
        found.append(name)
    return tuple(found)
