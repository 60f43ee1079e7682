import io
import json
import os

import pytest

from apps.cli.render.outcome import print_outcome
from quant.common.findings import finding
from quant.metrics.evaluate import NO_ACCURACY, Accuracy, Fidelity
from quant.verdict.verdict import Verdict
from tests.support.outcomes import FIDELITY, flip, outcome


def printed(capsys, *arguments, **settings):
    print_outcome(*arguments, **{"as_json": False, **settings})
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_every_figure_is_in_the_table(capsys):
    text = printed(capsys, outcome(), verbose=True)
    rows = {line[:24].strip(): line for line in text.splitlines()}
    assert "96.0 " in rows["top-1, %"] and "100.0 " in rows["top-5, %"]
    assert "93.0-98.0" in rows["95 % interval"]
    assert rows["agrees with float, %"].split()[-2:] == ["95.0", "95.0"]
    assert rows["SQNR, dB"].split()[-1] == "21.2"
    assert rows["latency, ms (1 thread)"].split()[-2:] == ["12.00", "6.50"]
    assert rows["90th percentile"].split()[-2:] == ["12.50", "7.25"]
    assert rows["load, ms"].split()[-2:] == ["5.0", "3.0"]
    assert rows["size, MB"].split()[-2:] == ["16.04", "4.27"]
    assert "273 operators in 1 partition, 0 left over" in text
    assert "Changed class: 1 of 250" in text and "val/red/1.jpg: red -> blue" in text
    # Of images with labels the verdict says it.
    alone = printed(capsys, outcome(changes=None))
    assert "Top-1 from float to .pte, 95 % interval: -2.0 to +1.0 points" in alone and "-2.0 to +1.0" not in text
    assert "Seconds: 61 (load 2, evaluate 40)" in text
    assert "PASS  top-1 95.6 % (float 96.0 %): -0.4 points" in text and "FAIL" not in text


def test_no_stage_is_parted_from_its_seconds(capsys):
    taken = dict.fromkeys(("load", "export", "quantize", "analyze", "lower", "time", "evaluate"), 11.0)
    text = printed(capsys, outcome(seconds={"total": 77.0, **taken}))
    said = text[: text.index(")") + 1]
    assert said.startswith("Seconds: 77 (load 11, ") and max(map(len, said.splitlines())) <= 80
    assert all(f"{name} 11" in said for name in taken)


def test_internals_are_left_to_verbose_and_the_rest_has_an_order(capsys):
    warned = finding("few-calibration-images", "only 8 images calibrate")
    text = printed(capsys, outcome(findings=(warned,)), report="r.html", next_command=("edge-effnet", "check", "x"))
    assert "Lowering alone" not in text and "Delegation" not in text
    parts = (
        "Seconds: ",
        "top-1, %",
        "Changed class",
        "PASS",
        "warning few-calibration-images",
        "Artifact: ",
        "Next: ",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "only 8 images calibrate. " in text


def test_a_column_of_fewer_images_says_so_and_has_no_top1(capsys):
    text = printed(capsys, outcome(quantized_images=100))
    heads, top1, agrees = (
        next(row for row in text.splitlines() if part in row) for part in (".pte", "top-1, %", "agrees")
    )
    assert "quantized (100)" in heads and top1.split()[-2] == "-" and agrees.split()[-2] != "-"


def test_a_check_has_no_quantized_column(capsys):
    text = printed(capsys, outcome(quantized=None, lowering=None))
    assert "quantized" not in text and "Lowering" not in text


def test_a_failure_says_so(capsys):
    text = printed(capsys, outcome(verdict=Verdict(passed=False, reasons=("too much lost", "twice"))))
    assert "FAIL  too much lost; twice" in text and "PASS" not in text


def test_without_labels_accuracy_is_a_dash(capsys):
    text = printed(capsys, outcome(float_accuracy=NO_ACCURACY, pte_accuracy=NO_ACCURACY, drop_interval=None))
    assert "Top-1 lost" not in text
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(" top-")] == ["-", "-"]


LONG = "a/very/long/path " + "x" * 200


@pytest.mark.parametrize("columns", ["80", "200"])
def test_the_table_and_all_but_paths_to_copy_fit_80_columns(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    found = outcome(
        notes=(f"Note on {LONG}",),
        flips=tuple(flip(image=LONG, label="a", float_class="b" * 60, pte_class="c" * 60) for _ in range(9)),
        verdict=Verdict(passed=False, reasons=("a reason " * 30,)),
        seconds={"total": 1.0, **{f"stage{i}": 1000.0 for i in range(12)}},
    )
    text = printed(capsys, found, next_command=("edge-effnet", "check", LONG))
    lines = [line for line in text.splitlines() if not line.startswith(("Artifact: ", "Next: "))]
    assert max(map(len, lines)) <= 80
    assert "and 4 more" in text


def test_the_next_command_can_be_pasted_into_a_shell(capsys):
    text = printed(
        capsys, outcome(artifact="my out"), next_command=("edge-effnet", "check", "my out", "--data", "a;b")
    )
    assert "Next: edge-effnet check 'my out' --data 'a;b'\n" in text
    assert "Artifact: my out\n" in text


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", ":smile:", "a\\[b"])
def test_names_are_printed_as_they_are_and_never_as_markup(capsys, name):
    found = outcome(
        variant=name,
        artifact=name,
        notes=(name,),
        flips=(flip(image=name, label=name, float_class=name, pte_class="x"),),
        verdict=Verdict(passed=True, reasons=(name,)),
    )
    assert printed(capsys, found).count(name) == 6


def test_json_is_one_object_and_nothing_else(capsys):
    found = outcome(notes=("a note",))
    text = printed(capsys, found, as_json=True, next_command=("never", "printed"))
    assert json.loads(text) == found.to_json()
    assert text.endswith("}\n")


def test_json_is_ascii_whatever_the_names(capsys):
    odd = os.fsdecode(b"caf\xe9.jpg")
    found = outcome(flips=(flip(image=odd, label="猫", float_class="猫", pte_class="é"),))
    text = printed(capsys, found, as_json=True)
    assert text.isascii() and json.loads(text)["flips"][0] == {
        "photograph": odd,
        "label": "猫",
        "float": "猫",
        "pte": "é",
        "float_probability": 0.75,
        "pte_probability": 0.5,
    }


def test_a_reader_that_stops_reading_is_no_error(monkeypatch, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        print_outcome(outcome(), as_json=True)
        gone.write("and what is left in the buffer goes nowhere")


def test_an_encoding_without_box_drawing_is_enough(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr("sys.stdout", screen)
    print_outcome(outcome(notes=("é",)), as_json=False)
    screen.seek(0)
    assert "top-1" in screen.read()


def test_infinite_fidelity_was_cut_before_it_is_shown(capsys):
    equal = Fidelity(agreement=1.0, sqnr_db=200.0)
    text = printed(capsys, outcome(pte=equal, quantized=(Accuracy(top1=1, top5=1, top1_interval=(0, 1)), FIDELITY)))
    assert "200.0" in text
