"""`check --device adb --executor-runner FILE`: the user's own executor_runner on the phone double."""

import logging

import pytest

from apps.device.job import drive
from apps.device.remote import Settings
from tests.support.images import draw_halves
from tests.support.phones import assert_same_bits, needs_adb, phone_artifact, phone_bench

pytestmark = needs_adb

RERUNS = 3 * Settings().reruns


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_halves(tmp_path_factory.mktemp("data"), train=1, val=1)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return phone_artifact(tmp_path_factory.mktemp("artifact") / "a")


@pytest.fixture
def bench(tmp_path, forks, artifact, data):
    with phone_bench(tmp_path / "phone", forks, artifact, data, app=False) as bench:
        yield bench


def test_the_whole_way_without_the_app(bench, tmp_path):
    bench.phone.feel(level=15, tenths=300, status=1)
    found = bench.check(executor_runner=bench.phone.executor_runner(tmp_path))
    assert_same_bits(found, images=3)
    values = found.results.values
    assert (values["device"]["name"], values["device"]["os"]) == ("Pixel 8", "Android 14")
    assert (values["device"]["soc"], values["device"]["abi"]) == ("Tensor G3", "arm64-v8a")
    assert found.repeated.varied == () and len(values["reruns"]) == RERUNS
    assert (len(values["load_ms"]), len(values["latency"]["times_ms"])) == (3, 50)
    assert values["thermal"] == {"before_c": 30.0, "after_c": 30.0, "status": "light"}
    assert [note for note in found.outcome.notes if "battery is at 15 %" in note]
    assert (bench.phone.left_behind, bench.phone.errors) == ([], [])


def test_a_phone_that_comes_back_goes_on_where_it_was(bench, tmp_path, caplog):
    """Images that are done are not run again."""
    bench.phone.cut = ["output-0.bin", "/input.bin"]
    with caplog.at_level(logging.WARNING):
        assert_same_bits(bench.check(executor_runner=bench.phone.executor_runner(tmp_path)), images=3)
    assert "the phone went away (in the middle of a command). Trying again" in caplog.text
    pushed = [line for line in bench.phone.seen if line.endswith("/input.bin")]
    ran = [line for line in bench.phone.seen if "cat " in line and "output-0.bin" in line]
    # Three images, their reruns and the one that is timed; what each lost command had begun was done again.
    assert (len(pushed), len(ran)) == (3 + RERUNS + 1 + 1, 3 + RERUNS + 1)
    assert bench.phone.left_behind == [] and bench.kept == []


def test_finished_images_wait_here_for_the_next_run(bench, tmp_path, capsys, monkeypatch, caplog):
    monkeypatch.setattr(drive, "RETRIES", 0)
    runner = bench.phone.executor_runner(tmp_path)
    bench.phone.cut, bench.phone.spared = ["output-0.bin"], {"output-0.bin": 2}
    code, said = bench.refusal(capsys, "--executor-runner", runner)
    assert code == 3 and said.endswith("Given up after 1 attempts; rerun to resume.")
    (kept,) = bench.kept
    assert len(kept.read_text().splitlines()) == 2
    before = len([line for line in bench.phone.seen if "cat " in line])
    assert_same_bits(bench.check(executor_runner=runner), images=3)
    assert len([line for line in bench.phone.seen if "cat " in line]) == before + 1 + RERUNS
    assert bench.kept == []


def test_a_driver_whose_bits_vary_fails(bench, tmp_path):
    found = bench.check(executor_runner=bench.phone.executor_runner(tmp_path, "--vary"))
    assert not found.passed and len(found.repeated.varied) == 3
    assert "device-varies" in {failure.code for failure in found.outcome.findings}


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("--old", "executor_runner ended (ERROR: unknown command line flag 'output_file')"),
        ("--silent", "without telling its times"),
        ("--short", "executor_runner wrote 8 bytes of output, 3 classes have 12"),
    ],
)
def test_a_runner_that_does_not_serve(bench, tmp_path, capsys, switch, words):
    code, said = bench.refusal(capsys, "--executor-runner", bench.phone.executor_runner(tmp_path, switch))
    assert code == 3 and words in said
    assert said.endswith("build ExecuTorch's executor_runner as docs/device.md says.")
    assert bench.phone.left_behind == []


def test_a_file_that_is_no_program(bench, tmp_path, capsys):
    code, said = bench.refusal(capsys, "--executor-runner", tmp_path / "absent")
    assert code == 2 and "absent: no such file; build ExecuTorch's executor_runner" in said
    (tmp_path / "text").write_text("not a program")
    code, said = bench.refusal(capsys, "--executor-runner", tmp_path / "text")
    assert code == 3 and "executor_runner ended (" in said
    assert bench.phone.left_behind == []
