"""Figures of README and docs are those of a results file.

`<!-- figures: benchmarks/results/NAME -->` stands before a paragraph or a table; every figure in it must be one of
the file: a number of its text, or one of its JSON values, rounded as the page has it (shares as %, bytes as MB).
Pages of `docs/lab` are notes of what was measured: where no file keeps a table, they say
`<!-- figures: this page -->`.
"""

import json
import re

import pytest

from tests.support.code_blocks import PAGES
from tests.support.paths import ROOT

MARK = re.compile(r"<!-- figures: (.+?) -->\n+((?:.+\n)+)")
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\.\d)(?!\w)")
UNIT = re.compile(r"%|\bdB\b|\bms\b|\bMB\b|\bGiB\b")
MARKED = [
    (page.relative_to(ROOT).as_posix(), source, text)
    for page in PAGES
    for source, text in MARK.findall(page.read_text())
]
SCALES = (1, 100, 1e-6)


def leaves(value):
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from leaves(child)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def figures_of(text):
    """Numbers with decimals; releases such as 1.4.1 and what stands in code are none."""
    return NUMBER.findall(re.sub(r"`[^`]*`|\]\([^)]*\)|\b(?:torch|executorch|torchao) [\d.]+", "", text))


def known(path):
    """Whether a number as a page writes it is in a file."""
    text = path.read_text()
    if path.suffix != ".json":
        numbers = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}
        return lambda shown: float(shown) in {round(number, len(shown.partition(".")[2])) for number in numbers}
    values = [abs(value) * scale for value in leaves(json.loads(text)) for scale in SCALES]
    return lambda shown: any(f"{value:.{len(shown.partition('.')[2])}f}" == shown for value in values)


def test_marks_were_found():
    assert len({page for page, *_ in MARKED}) >= 5


@pytest.mark.parametrize(
    ("page", "source", "text"), MARKED, ids=[f"{page}-{i}" for i, (page, *_) in enumerate(MARKED)]
)
def test_every_figure_is_in_the_results_file(page, source, text):
    if source == "this page":
        assert page.startswith("docs/lab/")
        return
    tests = [known(ROOT / name) for name in source.split(", ")]
    assert [shown for shown in figures_of(text) if not any(test(shown) for test in tests)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_table_of_figures_says_where_they_come_from(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    marked = "".join(body for _, body in MARK.findall(text))
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    measured = [table for table in tables if "---:" in table and UNIT.search(table) and len(figures_of(table)) > 2]
    assert [table.splitlines()[0] for table in measured if table not in marked] == []
