"""Build scripts as text, in Groovy or Kotlin."""

from __future__ import annotations

import re
from pathlib import Path

SETTINGS = ("settings.gradle", "settings.gradle.kts")

_TOKEN = re.compile(
    r'"""(?:.|\n)*?"""' r'|"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'" r"|//[^\n]*" r"|/\*(?:.|\n)*?\*/"
)
"""Strings, which may hold what looks like a comment, and comments."""


def text_of(path: Path) -> str:
    """Contents of a file, in UTF-8 with or without a byte-order mark or else in Latin-1; unreadable: nothing."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def code_of(path: Path) -> str:
    """A script without its comments."""
    return _TOKEN.sub(lambda token: " " if token[0].startswith("/") else token[0], text_of(path))


def scripts_in(folder: Path) -> list[Path]:
    """The build scripts of a folder, not those below it."""
    found = (path for pattern in ("*.gradle", "*.gradle.kts") for path in sorted(folder.glob(pattern)))
    return [path for path in found if path.is_file() and path.name not in SETTINGS]
