"""`edge-effnet predict` and `artifact.predict`: the program's answers with float's beside them."""

import csv
import io
import json

import pytest

from apps.cli.edge_effnet import app
from apps.cli.exit_codes import INPUT
from quant import open_artifact
from tests.support.cli import caller


@pytest.fixture
def predicted(tiny_artifact, capsys):
    return caller(capsys, app, "predict", tiny_artifact)


def test_a_file_and_a_folder_are_answered(predicted, tiny, tiny_artifact):
    red = tiny.data / "val" / "red"
    code, out, _ = predicted(red, "--json", "--top", 2)
    found = json.loads(out)["predictions"]
    assert code == 0 and len(found) == 20 and all(len(each["pte"]) == len(each["float"]) == 2 for each in found)
    assert {each["pte"][0]["class"] for each in found} == {"red"} and all(each["agrees"] for each in found)
    first = sorted(red.iterdir())[0]
    alone = open_artifact(tiny_artifact).predict(first)
    assert len(alone.pte) == 3 and sum(answer.probability for answer in alone.pte) == pytest.approx(1.0)
    assert alone.pte[0].probability == pytest.approx(found[0]["pte"][0]["probability"], abs=1e-5)
    rows = list(csv.DictReader(io.StringIO(predicted(first, "--csv")[1])))
    assert [row["rank"] for row in rows] == ["1", "2", "3"] and rows[0]["class"] == rows[0]["float_class"] == "red"
    answer = predicted(first)[1].splitlines()[1].split()
    assert (answer[0], answer[3], answer[-1]) == (".pte", "float", "red")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent.jpg",), "absent.jpg: no such image"),
        (("--top", "0", "{red}"), "need at least 1 class"),
        (("--json", "--csv", "{red}"), "choose one of them"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(predicted, tiny, words, said):
    code, out, error = predicted(*(word.replace("{red}", str(tiny.data / "val" / "red")) for word in words))
    assert (code, out) == (INPUT, "") and said in error and error.count("\n") == 1


def test_a_folder_without_images_is_refused(predicted, tmp_path):
    code, _, error = predicted(tmp_path)
    assert code == INPUT and "no images" in error
