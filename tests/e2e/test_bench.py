"""`edge-effnet bench`: figures, standard output, exit codes."""

import pytest

from apps.cli.edge_effnet import app
from tests.support.artifacts import make_artifact
from tests.support.cli import caller, only_json

FIGURES = {"latency_ms", "latency_p90_ms", "load_ms", "first_ms", "peak_bytes", "size_bytes"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("bench") / "a").folder


@pytest.fixture
def called(capsys):
    return caller(capsys, app, "bench")


def test_every_figure_of_every_program_is_in_the_json(folder, called):
    code, out, err = called(folder, "--with-float", "--repeats", 5, "--json")
    report = only_json(out)
    assert (code, err) == (0, "")
    assert (report["threads"], report["repeats"]) == (1, 5)
    assert [program["program"] for program in report["programs"]] == ["model.pte", "float.pte"]
    for program in report["programs"]:
        assert program.keys() == FIGURES | {"artifact", "program"}
        assert all(program[figure] > 0 for figure in FIGURES - {"peak_bytes"})
        assert program["latency_p90_ms"] >= program["latency_ms"]
        assert program["size_bytes"] == (folder / program["program"]).stat().st_size


def test_the_table_has_a_row_a_program(folder, called):
    code, out, err = called(folder, folder, "--repeats", 3)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split("  ") != [] and "median, ms" in out
    assert out.count(f"{folder}/model.pte") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "nowhere"),
        (("FOLDER", "--repeats", "0"), "--repeats 0: need 1 to"),
        (("FOLDER", "--threads", "0"), "--threads 0: need 1 to"),
    ],
)
def test_what_cannot_be_measured_exits_2_with_a_sentence(arguments, words, folder, called):
    code, out, err = called(*(folder if argument == "FOLDER" else argument for argument in arguments))
    assert (code, out) == (2, "") and words in err


def test_a_damaged_artifact_is_refused(tmp_path, called):
    folder = make_artifact(tmp_path / "a").folder
    with (folder / "model.pte").open("r+b") as file:
        file.write(b"\xff" * 64)
    code, out, _ = called(folder)
    assert (code, out) == (2, "")
