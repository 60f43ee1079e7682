"""The sentences of docs/troubleshooting.md are those that the program says."""

import ast
import re

import pytest

from tests.support.paths import ROOT

MESSAGES = re.findall(
    r"^\| (?:note: )?`([^|]+?)`(?:, `| \.\.\. \|| \|)", (ROOT / "docs/troubleshooting.md").read_text(), re.M
)


def spoken() -> str:
    """Every string of the program, one a line; what is filled in is `...`."""
    found = []
    for package in ("edge_effnet", "quant", "apps"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Constant(value=str() as text):
                        found.append(text)
                    case ast.JoinedStr(values=parts):
                        found.append("".join(p.value if isinstance(p, ast.Constant) else "..." for p in parts))
    return "\n".join(found)


SPOKEN = spoken()


def test_messages_were_found():
    assert len(MESSAGES) >= 30


@pytest.mark.parametrize("message", MESSAGES)
def test_program_says_so(message):
    # `collapsed: agrees with float on`, `holds b1 (...), not b0; ask for b1`: names of the example are fillings.
    pieces = [piece for piece in re.split(r"\.\.\.|\bb\d\b|\bhardswish\b", message) if len(piece.strip()) > 3]
    assert all(piece.strip(" ()") in SPOKEN for piece in pieces), message
