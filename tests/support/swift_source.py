"""The Swift sources of `apps/ios`, read by a real parser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

tree_sitter = pytest.importorskip("tree_sitter", reason="the parser is in the dev extra")
tree_sitter_swift = pytest.importorskip("tree_sitter_swift", reason="the grammar is in the dev extra")

IOS = Path(__file__).parents[2] / "apps" / "ios"
CORE = IOS / "EdgeEffNetCore" / "Sources" / "EdgeEffNetCore"
SWIFT_FILES = sorted(path for path in IOS.rglob("*.swift") if ".build" not in path.parts)

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))


def syntax_errors(source: bytes) -> list[str]:
    """Line and text of everything that the grammar does not accept."""
    nodes = _walk(_PARSER.parse(source).root_node)
    return [f"line {n.start_point[0] + 1}: {n.text[:60]!r}" for n in nodes if n.is_error or n.is_missing]


def json_keys(path: Path, name: str) -> set[str]:
    """Keys that a struct is encoded with: its `CodingKeys`, or its stored properties.

    Args:
        path: a Swift file.
        name: the struct, with those around it: `Results.Latency`.
    """
    body = _PARSER.parse(path.read_bytes()).root_node
    for part in name.split("."):
        body = _body(body, part)
    keys = _declared(body, "CodingKeys")
    if keys is not None:
        return {key for entry in keys.named_children for key in _cases(entry)}
    return {_text(p.child_by_field_name("name")) for p in body.named_children if _is_stored(p)}


def _walk(node) -> Iterator:
    yield node
    for child in node.children:
        yield from _walk(child)


def _declared(body, name: str):
    for node in body.named_children:
        if node.type == "class_declaration" and _text(node.child_by_field_name("name")) == name:
            return node.child_by_field_name("body")
    return None


def _body(body, name: str):
    found = _declared(body, name)
    assert found is not None, f"no type {name} there"
    return found


def _cases(entry) -> Iterator[str]:
    """`case a, b` and `case a = "b"`: raw values where there are some."""
    names = [_text(n) for n in entry.children_by_field_name("name")]
    values = {n.prev_named_sibling.id: _text(n).strip('"') for n in entry.children_by_field_name("raw_value")}
    for node, name in zip(entry.children_by_field_name("name"), names, strict=True):
        yield values.get(node.id, name)


def _is_stored(node) -> bool:
    computed = node.child_by_field_name("computed_value") is not None
    return node.type == "property_declaration" and not computed and b" static " not in b" " + node.text


def _text(node) -> str:
    return node.text.decode()
