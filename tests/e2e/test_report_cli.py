"""`edge-effnet report`: what is printed, exit codes, and the page that `quantize` writes itself."""

import pytest

from apps.cli.edge_effnet import app
from quant.artifact.open import open_artifact
from tests.support.artifacts import edit_manifest, make_artifact
from tests.support.cli import caller, only_json
from tests.support.reports import measured_artifact


@pytest.fixture
def called(capsys, monkeypatch, tmp_path):
    """Run the command in this process and an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    return caller(capsys, app, "report")


def test_artifacts_are_compared_in_a_table_and_on_a_page(called, tmp_path):
    measured_artifact(tmp_path / "b0-int8", top1=0.95)
    measured_artifact(tmp_path / "b0-slow", top1=0.94, ms=20.0)
    code, out, err = called("b0-int8", "b0-slow", "--out", "both.html")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert rows["b0-int8"] == ["b0-int8", "95.0", "95.0", "20.0", "6.50", "4.00", "pass", "optimal"]
    assert rows["b0-slow"][-1] == "pass"
    assert out.endswith("Report: both.html\n") and max(map(len, out.splitlines())) <= 80
    assert (tmp_path / "both.html").is_file()


def test_a_program_that_failed_is_marked_so_and_not_as_optimal(called, tmp_path):
    measured_artifact(tmp_path / "good")
    measured_artifact(tmp_path / "bad", ms=1.0, failed=True)
    measured_artifact(tmp_path / "blind", ms=1.0, agreement=0.4)
    _, out, _ = called("good", "bad", "blind")
    ends = [line.split()[-2:] for line in out.splitlines() if line.startswith((" good", " bad", " blind"))]
    assert ends == [["pass", "optimal"], ["4.00", "fail"], ["4.00", "collapsed"]]


def test_json_is_one_object(called, tmp_path):
    measured_artifact(tmp_path / "a")
    measured_artifact(tmp_path / "b", ms=9.0)
    code, out, _ = called("a", "b", "--json")
    values = only_json(out)
    assert code == 0 and values["report"] == "report.html"
    assert [(p["name"], p["pareto_optimal"]) for p in values["programs"]] == [("a", True), ("b", False)]


def test_one_artifact_says_which_pictures_are_missing(called, tmp_path):
    measured_artifact(tmp_path / "a")
    code, out, _ = called("a")
    assert code == 0 and "1 image that changed class not shown" in out
    assert out.endswith("Report: report.html\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent"], "absent: no artifact here"),
        (["a", "--out", "a/report.html"], "lies in an artifact"),
        (["a", "--data", "absent"], "absent: no such folder"),
        (["a", "a", "--data", "."], "leave it out to compare"),
        (["broken"], "$.verdict.float: [] is not of type 'object'); regenerate it"),
        (["a", "--bogus"], "No such option"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(called, tmp_path, arguments, words):
    measured_artifact(tmp_path / "a")
    make_artifact(tmp_path / "broken")
    edit_manifest(tmp_path / "broken", lambda manifest: manifest["verdict"].update(float=[]))
    code, out, err = called(*arguments)
    assert (code, out) == (2, "") and words in " ".join(err.split())
    assert err.startswith("error: ") and "Traceback" not in err
    assert not (tmp_path / "report.html").exists()


def test_quantize_writes_the_page_that_report_makes_again(called, quantized, tmp_path):
    assert quantized.values["cautions"]  # 16 images to calibrate on are few
    artifact = open_artifact(quantized.folder)
    assert artifact.manifest["command"][:3] == ["quantize", "--variant", "lite0"]
    assert all(layer.estimated_ms is not None for layer in artifact.layers())
    (chosen,) = [point for point in quantized.values["search"]["points"] if point["chosen"]]
    assert len(quantized.values["float_layers"]) == len(chosen["float_layers"])
    assert sum(row["photographs"] for row in quantized.values["classes"]) == 60
    page = tmp_path / "again.html"
    code, out, err = called(quantized.folder, "--data", quantized.data, "--out", page, "--json")
    assert (code, err) == (0, "")
    assert only_json(out)["without_picture"] == []
    assert page.read_bytes() == (quantized.folder / "report.html").read_bytes()
