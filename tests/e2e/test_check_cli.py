"""`edge-effnet check`: exit codes, standard output, standard error."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apps.cli.edge_effnet import app
from tests.support.artifacts import make_artifact
from tests.support.cli import call_cli, caller, only_json, run_cli
from tests.support.forked import run_forked
from tests.support.images import draw_halves
from tests.support.programs import SWAPPED, colour_program

PROMISED = {
    "float": {"top1", "top5", "latency_ms", "size_bytes"},
    "pte": {"top1", "top5", "agreement", "sqnr_db", "latency_ms", "latency_p90_ms", "load_ms", "size_bytes"},
    "delegation": {"partitions", "delegated", "left"},
    "images": {"calibration", "evaluation"},
    "seconds": {"total", "load", "evaluate"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_halves(tmp_path_factory.mktemp("data"), train=1, val=2)


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("right") / "a").folder


@pytest.fixture(scope="module")
def swapped(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("swapped") / "a", channels=SWAPPED).folder


@pytest.fixture
def called(capsys):
    """Run the command in this process; gives exit code, standard output and standard error."""
    return caller(capsys, app, "check")


def test_a_pass_exits_0_with_a_table_and_a_silent_standard_error(right, data):
    done = run_cli("edge-effnet", "check", right, "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASS" in done.stdout and "top-1, %" in done.stdout and f"Artifact: {right}" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("Artifact: ")) <= 80


def test_a_regression_exits_1_and_json_is_all_of_standard_output(swapped, data):
    done = call_cli("edge-effnet", "check", swapped, "--data", data, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    values = only_json(done.stdout)
    assert {"verdict", "artifact", "variant", "recipe", "backend", *PROMISED} <= set(values)
    for part, keys in PROMISED.items():
        assert keys <= set(values[part]), part
    assert "quantized" not in values
    assert values["verdict"] == "fail" and values["artifact"] == str(swapped)
    assert values["float"]["top1"] == 1.0 and values["pte"]["top1"] == pytest.approx(1 / 3)
    assert values["images"]["evaluation"] == 6


def test_an_input_error_exits_2_with_one_sentence(right, data, tmp_path):
    folder = shutil.copytree(right, tmp_path / "a")
    (folder / "model.pte").write_bytes(colour_program(SWAPPED))
    done = run_forked("edge-effnet", "check", folder, "--data", data, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {folder / 'model.pte'}: ") and done.stderr.count("\n") == 1


def test_json_on_a_pass_in_process(called, right, data):
    code, out, err = called(right, "--data", data, "--json")
    assert (code, err) == (0, "")
    assert only_json(out)["verdict"] == "pass"


def test_max_drop_decides(called, swapped, data):
    assert called(swapped, "--data", data, "--max-drop", "66.7")[0] == 0


def test_a_baseline_is_written_then_held(called, right, swapped, data, tmp_path):
    baseline = tmp_path / "b.json"
    assert called(right, "--data", data, "--baseline", baseline, "--update-baseline")[0] == 0
    assert json.loads(baseline.read_text())["images"] == 6
    code, out, _ = called(swapped, "--data", data, "--baseline", baseline, "--max-drop", "50")
    assert code == 1 and "the baseline" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent", "--data", "DATA"], "no artifact here (no manifest.json); make one with `quantize`"),
        (["RIGHT", "--data", "absent"], "absent: does not exist"),
        (["RIGHT", "--data", "DATA", "--max-drop", "-1"], "--max-drop -1.0: need a number of points from 0 to 100"),
        (["RIGHT", "--data", "DATA", "--max-drop", "lots"], "Invalid value for '--max-drop'"),
        (["RIGHT", "--data", "DATA", "--threads", "0"], "--threads 0: need 1 to 256"),
        (["RIGHT", "--data", "DATA", "--update-baseline"], "--update-baseline needs --baseline FILE"),
        (["RIGHT", "--data", "DATA", "--baseline", "absent.json"], "absent.json: no such baseline"),
        (["RIGHT", "--data", "DATA", "--bogus"], "No such option: --bogus"),
        (["RIGHT"], "Missing option '--data'"),
        (["--data", "DATA"], "Missing argument 'FOLDER'"),
    ],
)
def test_bad_input_exits_2_and_says_what_and_what_to_do(called, right, data, arguments, words):
    known = {"RIGHT": right, "DATA": data}
    code, out, err = called(*(known.get(argument, argument) for argument in arguments))
    assert code == 2
    assert words in " ".join(err.split()) and "Traceback" not in err
    assert out == ""


def test_standard_output_on_a_full_disk_is_the_machines_fault_and_a_closed_pipe_is_none(right, swapped, data):
    with Path("/dev/full").open("w") as full:
        done = run_forked("edge-effnet", "check", right, "--data", data, out=full.fileno())
    assert done.returncode == 3 and "No space left on device; free some space" in done.stderr
    assert done.stderr.count("\n") == 1
    reading, writing = os.pipe()
    os.close(reading)
    done = run_forked("edge-effnet", "check", swapped, "--data", data, out=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_names_in_no_known_encoding_are_printed(right, swapped, tmp_path):
    """A file name may be any bytes; standard output here knows ASCII alone."""
    data = draw_halves(tmp_path / "data", val=2)
    odd = os.fsdecode(b"caf\xe9 \xe7\x8c\xab.jpg")
    (data / "val" / "red" / "1.jpg").rename(data / "val" / "red" / odd)
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run_forked("edge-effnet", "check", swapped, "--data", data, env=env)
    assert done.returncode == 1 and "FAIL" in done.stdout
    (data / "val" / "red" / odd).write_text("no image")
    done = run_forked("edge-effnet", "check", right, "--data", data, env=env)
    assert done.returncode == 2 and "not an image" in done.stderr


def test_users_can_check_in_three_lines_of_their_own_pytest(right, swapped, data, tmp_path, pytestconfig):
    """The README's own lines, its names replaced by what exists here, run by a pytest with warnings as errors."""
    readme = (pytestconfig.rootpath / "README.md").read_text()
    (lines,) = [block.split("```")[0] for block in readme.split("```python\n")[1:] if "assert check(" in block]
    assert len([line for line in lines.splitlines() if line.strip()]) == 3
    for name, folder in (("right", right), ("swapped", swapped)):
        test = tmp_path / f"test_{name}.py"
        test.write_text(lines.replace('"b0-int8-xnnpack"', repr(str(folder))).replace('"photos"', repr(str(data))))
        assert str(folder) in test.read_text() and str(data) in test.read_text()
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib"]
    done = subprocess.run([*command, "-rA"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    ends = [line.split("::")[0] for line in done.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
    assert sorted(ends) == [f"{how} test_{name}.py" for how, name in (("FAILED", "swapped"), ("PASSED", "right"))]
