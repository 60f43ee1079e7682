"""docs/backends.md names every field that an entry of the table has, and no other."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from quant.lower.backend import Backend, Precision
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [Backend, Precision])
def test_the_page_has_the_fields_of(kind):
    head = rf"^    \| field of `{kind.__name__}` \| what it says \|\n    \|---\|---\|\n"
    (rows,) = re.findall(rf"{head}((?:    \|.*\n)+)", TEXT, re.MULTILINE)
    named = [name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(field.name for field in fields(kind))
