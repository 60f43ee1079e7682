"""`edge-effnet analyze`: the analysis of an artifact, as a table and as JSON."""

import json
import re
from dataclasses import replace

import pytest

from apps.cli.edge_effnet import app
from apps.cli.render.analysis import print_analysis
from tests.support.artifacts import LAYER, make_artifact
from tests.support.cli import caller


@pytest.fixture
def called(capsys):
    return caller(capsys, app, "analyze")


@pytest.fixture
def folder(tmp_path):
    return make_artifact(tmp_path / "b0-int8-xnnpack").folder


def test_the_table_fits_80_columns_and_names_what_broke(called, folder):
    code, out, err = called(folder)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    for cell in ("stem", "product", "-81.5..85.2", "-12..18", "0.10", "24.5", "12.5"):
        assert cell in out
    assert out.rstrip().endswith("No layer's output is below 10 dB.")


def test_rows_below_the_line_are_not_denied_where_no_output_is(capsys):
    """What an activation function reads may be below it: ranges clip values that the function makes zero."""
    rows = [replace(LAYER, operator="convolution", sqnr_db=5.9), replace(LAYER, sqnr_db=21.0)]
    print_analysis(rows, by="order", top=None, as_json=False)
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "No layer's output is below 10 dB (1 activation inside layers is)."


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_groups_of_a_layers_channels_are_told_apart(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    name = "stages.6.0.squeeze_excite"
    groups = [replace(LAYER, layer=name, node=f"mul_g{group}", sqnr_db=9.0 - group) for group in (0, 1)]
    print_analysis([replace(LAYER, layer="stem"), *groups], by="order", top=None, as_json=False)
    lines = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).splitlines()
    assert max(len(line) for line in lines if line.startswith(" ")) <= columns
    rows = [line.split(maxsplit=1)[1] for line in lines if line.strip().startswith(name)]
    assert [row[:6] for row in rows] == ["1 of 2", "2 of 2"]
    assert lines[-1] == f"First below 10 dB: {name} (product, group 1 of 2), 9.0 dB."
    print_analysis([LAYER], by="order", top=None, as_json=False)
    assert "group" not in capsys.readouterr().out


def test_json_is_one_object(called, folder):
    code, out, _ = called(folder, "--json", "--by", "noise", "--top", "5")
    assert code == 0
    values = json.loads(out)
    assert set(values) == {"layers", "first_broken"} and values["first_broken"] is None
    assert values["layers"][0]["layer"] == LAYER.layer and values["layers"][0]["noise_share"] == LAYER.noise_share


def test_an_unknown_order_and_an_absent_folder_are_explained(called, folder, tmp_path):
    assert called(folder, "--by", "size")[::2] == (2, "error: --by 'size': choose one of order, noise.\n")
    code, _, err = called(tmp_path / "absent")
    assert code == 2 and "no artifact here" in err


def test_rows_of_one_layer_are_told_apart_on_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    name = "stages.0.0.squeeze_excite.activation"
    rows = [replace(LAYER, layer=name, operator=operator) for operator in ("sigmoid", "convolution")]
    print_analysis(rows, by="order", top=None, as_json=False)
    out = capsys.readouterr().out
    assert "sigmoid" in out and "convolution" in out and "Left out for want of room: values, int8 grid (" in out


LONG = "stages.6.0.squeeze_excite." + "activation" * 4


@pytest.mark.parametrize(("columns", "piped"), [(60, False), (80, False), (200, False), (80, True)])
def test_the_table_fits_the_terminal_and_never_breaks_a_name(columns, piped, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: not piped, raising=False)
    print_analysis([replace(LAYER, layer=LONG)], by="order", top=None, as_json=False)
    lines = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).splitlines()
    (row,) = [line for line in lines if LONG in line]
    assert ("product" in row) == (piped or columns == 200) and "24.5" in row
    assert piped or max(len(line) for line in lines if "Left out" not in line) <= max(columns, len(row))
    assert any("Left out" in line for line in lines) == ("product" not in row)
