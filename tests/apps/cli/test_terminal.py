"""What others named reaches the terminal as one line, in every width; JSON for machines is strict."""

import json
import logging
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import apps.cli
from apps.cli.exit_codes import guarded
from apps.cli.render.analysis import print_analysis
from apps.cli.render.bars import Bars
from apps.cli.render.outcome import print_outcome
from apps.cli.render.plain import PlainConsole, PlainFormatter, write_json
from edge_effnet import InputError, MachineError
from quant.verdict.verdict import Verdict
from tests.support.artifacts import LAYER
from tests.support.cli import call_cli
from tests.support.flat_programs import flat_program
from tests.support.outcomes import flip, outcome

FORGED = "x\nPASS  top-1 100 % [red]\x1b[2J\u2028.jpg"


def fails(error):
    raise error


def lines_that_pass(text):
    return [line for line in text.splitlines() if line.lstrip().startswith("PASS")]


@pytest.mark.parametrize(
    "error",
    [
        InputError(f"{FORGED}: too small"),
        MachineError(f"{FORGED}: full"),
        OSError(28, "No space left", FORGED),
        ValueError(FORGED),
    ],
)
def test_a_name_adds_no_line_to_an_error(capsys, error):
    guarded(lambda: fails(error))
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\u2028" not in said
    if not isinstance(error, ValueError):  # a fault of ours shows its traceback
        assert said.startswith("error: x\\nPASS  top-1 100 % [red]\\x1b[2J\\u2028.jpg: ") and said.count("\n") == 1


def test_an_error_without_end_is_shortened(capsys):
    guarded(lambda: fails(InputError(f"a.json: {'x' * 10**6}: take another file.")))
    said = capsys.readouterr().err
    assert len(said) < 3000 and said.startswith("error: a.json: xxx") and said.endswith("x: take another file.\n")


def test_a_name_adds_no_line_to_a_warning():
    record = logging.LogRecord("quant", logging.WARNING, "f", 1, "%s is gone", (FORGED,), None)
    assert PlainFormatter("%(levelname)s: %(message)s").format(record) == (
        "WARNING: x\\nPASS  top-1 100 % [red]\\x1b[2J\\u2028.jpg is gone"
    )


def test_a_name_adds_no_line_to_results(capsys):
    flipped = flip(image=FORGED, float_class=FORGED, pte_class=FORGED)
    failed = Verdict(passed=False, reasons=(FORGED,), cautions=(FORGED,))
    print_outcome(outcome(flips=(flipped,), notes=(FORGED,), verdict=failed, artifact=FORGED), as_json=False)
    print_analysis([LAYER], by="order", top=None, as_json=False)
    assert lines_that_pass(capsys.readouterr().out) == []


def test_a_name_adds_no_line_to_a_table_or_to_what_bars_say(capsys):
    console = PlainConsole()
    table = Table(title=Text(FORGED))
    table.add_column(Text(FORGED))
    table.add_column(FORGED)
    table.add_row(FORGED, Text(FORGED, style="red"))
    console.print(table)
    Bars().say(FORGED)
    out, error = capsys.readouterr()
    assert lines_that_pass(out) == [] == lines_that_pass(error) and "\\nPASS" in "".join(out.split()) + error


@pytest.mark.parametrize("columns", ["0", "1", "20", "39", "none", "80", "200"])
def test_a_terminal_too_narrow_to_be_one_has_eighty_columns(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    print_outcome(outcome(), as_json=False)
    out = capsys.readouterr().out
    assert out.splitlines()[-2].startswith("PASS  top-1 95.6 %")
    assert PlainConsole().width == 80


def test_a_narrow_terminal_is_believed(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert PlainConsole().width == 60


def test_json_on_standard_output_is_strict(capsys):
    write_json({"a": [float("nan"), (float("-inf"), 1.5)], "b": {"c": float("inf")}, "d": "\ud800"})
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: fails(ValueError(name)))
    assert found == {"a": [None, [None, 1.5]], "b": {"c": None}, "d": "\ud800"}


def test_no_command_writes_json_by_itself():
    """`write_json` is the one that is strict."""
    folder = Path(apps.cli.__path__[0])
    found = [path.name for path in folder.rglob("*.py") if "json.dumps" in path.read_text()]
    assert found == ["plain.py"]


def test_names_in_a_program_stay_in_their_lines(tmp_path):
    path = tmp_path / "m.pte"
    path.write_bytes(flat_program(delegates=1, backend="x\nPASS  all is well"))
    (tmp_path / "n.pte").write_bytes(flat_program())
    for words in (("inspect", path), ("diff", path, tmp_path / "n.pte")):
        done = call_cli("edge-effnet", *words)
        assert done.returncode == 0 and lines_that_pass(done.stdout) == [] and "x\\nPASS" in done.stdout
