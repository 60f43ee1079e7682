"""The code blocks of README and docs, and the command lines in them."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))

OURS = ("quantize", "edge-effnet")

_FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}.*\n)+", re.MULTILINE)
_SEPARATORS = ("&&", "|", ";", ">")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One block of a page."""

    page: str
    """Its path in the repository."""
    line: int
    """Of its first line of code, from 1."""
    language: str
    """As the fence says; `sh` where the block is indented."""
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> list[Block]:
    """Every block of a language, page by page."""
    return [block for page in PAGES for block in _blocks_of(page) if block.language == language]


def command_lines(block: Block) -> list[list[str]]:
    """The words of each command of ours in a block; continued lines are joined, chains are taken apart."""
    found: list[list[str]] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if not any(name in line for name in OURS):
            continue
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word in _SEPARATORS:
                if words and words[0] in OURS:
                    found.append(words)
                words = []
            else:
                words.append(word)
    return found


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    for match in _FENCE.finditer(text):
        inside = textwrap.dedent(match[3])
        yield Block(page=name, line=_line(text, match.start(3)), language=match[2], text=inside)
    # Fences out of the way, their lines kept: what is indented inside them is no block of its own.
    rest = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(rest):
        lines = [line[4:] for line in match[0].splitlines()]
        if any(line.split()[:1] and line.split()[0] in OURS for line in lines):
            yield Block(page=name, line=_line(rest, match.start()), language="sh", text="\n".join(lines) + "\n")


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
