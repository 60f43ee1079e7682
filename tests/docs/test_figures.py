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
DECIBELS = re.compile(r"(?<![\w.])(\d+\.\d+) dB")
OF_NO_FILE = {
    "device.md": {"34.7", "80.0", "25.1"},  # of 100 images that were run by hand; answers that `--runtime` may give
    "npu.md": {"0.1", "10.5"},  # the stock flow, run by hand
    "qat.md": {"2.5", "1.5", "0.7", "0.8"},  # differences of figures in its tables
}


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


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "lab"], ids=lambda page: page.name)
def test_every_decibel_says_where_it_comes_from(page):
    text = MARK.sub("", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    found = set(DECIBELS.findall(re.sub(r"`[^`]*`", "", text)))
    assert found <= OF_NO_FILE.get(page.name, set())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_table_of_figures_says_where_they_come_from(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    marked = "".join(body for _, body in MARK.findall(text))
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    measured = [table for table in tables if "---:" in table and UNIT.search(table) and len(figures_of(table)) > 2]
    assert [table.splitlines()[0] for table in measured if table not in marked] == []
