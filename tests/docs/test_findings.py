"""docs/findings.md has every kind of finding, word by word; `python -m tests.docs.test_findings` writes its table."""

from __future__ import annotations

import difflib
import json
import re

from quant.common.findings import KINDS, Severity, finding
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "findings.md"
COMMAND = "python -m tests.docs.test_findings"

HEAD = "| code | severity | what it means | what to do |\n|---|---|---|---|\n"


def wanted() -> str:
    """The rows of the table, one a kind."""
    cells = ((f"`{code}`", kind.severity, kind.meaning, kind.remedy) for code, kind in KINDS.items())
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def with_table(page: str) -> str:
    """The page with the rows that it should have."""
    before, _, after = page.partition(HEAD)
    rest = re.sub(r"\A(?:\|.*\n)*", "", after)
    return f"{before}{HEAD}{wanted()}{rest}"


def test_the_table_is_that_of_the_source():
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(HEAD) == 1
    lines = difflib.unified_diff(
        page.splitlines(), with_table(page).splitlines(), "the page", "KINDS", lineterm="", n=0
    )
    assert page == with_table(page), f"docs/findings.md differs; {COMMAND} puts it right:\n" + "\n".join(lines)


def test_a_kind_that_changed_is_found_and_put_right():
    page = PAGE.read_text(encoding="utf-8")
    stale = page.replace("`leakage` | error", "`leakage` | note").replace("`device` |", "`gone` |")
    assert stale != page and with_table(stale) == page


def test_every_severity_is_explained():
    explained = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert explained == [str(severity) for severity in Severity]


def test_the_example_is_a_finding_as_json_has_it():
    (block,) = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (example,) = json.loads(block)["findings"]
    assert example == finding(example["code"], example["message"]).to_json()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
