"""`check --device host`, `job`, `compare` and `devices`: the runner in a process of its own, no device needed."""

import json
import os
import signal
import sys
import time

import pytest
import torch

from apps.device.check import check_on_device
from apps.device.job.folder import prepare_job
from apps.device.job.results import read_results
from apps.device.local import LocalRemote
from apps.device.remote import Settings
from apps.device.sameness import compare
from edge_effnet.errors import InputError, MachineError
from tests.support.artifacts import make_artifact, snapshot
from tests.support.cli import call_cli, only_json
from tests.support.images import draw_halves
from tests.support.programs import SWAPPED


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_halves(tmp_path_factory.mktemp("data"), train=1, val=4)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("right") / "a").folder


@pytest.fixture(scope="module")
def found(artifact, data, tmp_path_factory):
    results = tmp_path_factory.mktemp("results") / "host.json"
    return check_on_device(artifact, device="host", data=data, results=results, limit=6), results


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_host_agrees_with_itself(found):
    outcome, results = found
    assert outcome.passed and outcome.same.identical == outcome.same.images == 6
    assert outcome.outcome.pte_accuracy.top1 == 1.0
    assert any("6 of 12 images" in note for note in outcome.outcome.notes)
    values = read_results(results).values
    assert outcome.repeated.to_json() == {"images": 4, "reruns": 16, "varied": [], "sqnr_db": None}
    assert len(values["load_ms"]) == 3 and len(values["latency"]["times_ms"]) == Settings().repeats


def test_images_whose_names_are_no_text_run_too(artifact, tmp_path):
    folder = draw_halves(tmp_path / "data", train=1, val=1) / "val" / "red"
    (folder / "0.jpg").rename(folder / os.fsdecode(b"\xff\n[red].jpg"))
    outcome = check_on_device(artifact, device="host", data=tmp_path / "data", results=tmp_path / "r.json")
    assert outcome.passed
    assert any(name.endswith("\udcff\n[red].jpg") for name, _ in read_results(tmp_path / "r.json").images)


def test_a_program_that_is_wrong_fails_on_a_device_as_it_does_here(data, tmp_path):
    swapped = make_artifact(tmp_path / "a", channels=SWAPPED).folder
    process = call_cli("edge-effnet", "check", swapped, "--data", data, "--device", "host", "--json")
    assert process.returncode == 1
    values = only_json(process.stdout)
    assert values["verdict"] == "fail" and values["device"]["host"]["agreement"] == 1.0


def test_another_artifacts_results_are_refused(found, data, tmp_path):
    swapped = make_artifact(tmp_path / "a", channels=SWAPPED).folder
    with pytest.raises(InputError, match=r"results of another program"):
        check_on_device(swapped, device=f"ios:{found[1]}", data=data)


def test_an_exported_file_gives_the_same_verdict(found, artifact, data):
    offline = check_on_device(artifact, device=f"ios:{found[1]}", data=data)
    assert offline.passed and offline.same.identical == 6
    assert torch.equal(offline.results.logits, found[0].results.logits)


def test_compare_tells_equal_from_different(found, artifact, tmp_path):
    _, host = found
    assert compare(host, host, artifact=artifact).passed
    values = json.loads(host.read_text())
    for image in values["photographs"]:
        image["logits"] = values["photographs"][0]["logits"]
    (tmp_path / "stuck.json").write_text(json.dumps(values))
    process = call_cli("edge-effnet", "compare", host, tmp_path / "stuck.json", "--json")
    assert process.returncode == 1
    assert only_json(process.stdout)["reasons"]
    (tmp_path / "cut.json").write_text(host.read_text()[:500])
    process = call_cli("edge-effnet", "compare", host, tmp_path / "cut.json")
    assert process.returncode == 2 and "truncated or damaged" in process.stderr
    assert process.stderr.count("\n") == 1


def test_a_job_folder_is_whole_and_replaced_only_by_one(artifact, data, tmp_path):
    job = prepare_job(artifact, data=data, out=tmp_path / "job", limit=3)
    again = prepare_job(artifact, data=data, out=tmp_path / "job", limit=3)
    assert (again.id, again.images) == (job.id, 3)
    assert set(snapshot(tmp_path / "job")) == {"job.json", "model.pte", "pixels-0000.u8"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("x")
    with pytest.raises(InputError, match="holds something other than a job"):
        prepare_job(artifact, data=data, out=tmp_path / "mine")


def remote_of(*interpreter, **environment):
    return LocalRemote("here", interpreter, settings=Settings(repeats=1), environment=environment, words=["host"])


class Struck(LocalRemote):
    """Its runner is killed once it has said that it runs, and before it can say that it is done."""

    def start(self, job):
        super().start(job)
        while self.fetch("status.json") is None:
            time.sleep(0.001)
        os.kill(self._child.pid, signal.SIGSTOP)
        assert json.loads(self.fetch("status.json"))["state"] == "running"
        os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()


def run_on(remote, artifact, data, tmp_path, progress=None):
    from apps.device.job.drive import run_job
    from apps.device.job.folder import write_job
    from quant.artifact.open import open_artifact
    from quant.common.progress import NoProgress
    from quant.data.collect import Source
    from quant.data.split import evaluation_images

    opened = open_artifact(artifact)
    images = evaluation_images(Source(data=data, num_classes=3), calibrated_on=frozenset()).evaluation
    folder = tmp_path / "job"
    folder.mkdir()
    job = write_job(folder, opened, images, remote.settings, NoProgress())
    return run_job(remote, job, progress or NoProgress())


def test_a_runner_that_cannot_start_or_dies_is_one_sentence(artifact, data, tmp_path):
    with pytest.raises(MachineError, match=r"here: /nowhere/python does not start \(No such file"):
        run_on(remote_of("/nowhere/python"), artifact, data, tmp_path)
    (tmp_path / "job").rename(tmp_path / "1")
    with pytest.raises(MachineError, match=r"here: the runner does not start"):
        run_on(remote_of("/bin/false"), artifact, data, tmp_path)
    (tmp_path / "job").rename(tmp_path / "2")
    remote = Struck("here", [sys.executable], settings=Settings(repeats=1), words=["host"])
    with pytest.raises(MachineError, match="ended without a word"):
        run_on(remote, artifact, data, tmp_path)
    assert remote._folder is None


def test_devices_are_listed_with_what_is_missing():
    process = call_cli(
        "edge-effnet", "devices", "--json", env={"EDGE_EFFNET_EMULATOR": "", "PATH": os.environ["PATH"]}
    )
    assert process.returncode == 0, process.stderr
    listed = {device["device"]: device for device in only_json(process.stdout)["devices"]}
    assert listed["host"]["ready"] and not listed["arm64:cortex-a76"]["ready"]
    assert "--emulator" in listed["arm64:cortex-a76"]["note"]
    assert "ios:FILE" in listed and "ssh:USER@HOST" in listed


@pytest.mark.parametrize(
    ("device", "complaint"),
    [
        ("pixel", "unknown device; choose one of host"),
        ("host:1", "write --device host"),
        ("arm64:max", "unknown processor; choose one of cortex-a53"),
        ("arm64", "name the emulator with --emulator"),
        ("ios:nowhere.json", "no such file"),
    ],
)
def test_unknown_devices_are_refused(artifact, data, monkeypatch, device, complaint):
    monkeypatch.setenv("EDGE_EFFNET_EMULATOR", "")
    with pytest.raises(InputError, match=complaint):
        check_on_device(artifact, device=device, data=data)


def test_a_device_runs_a_program_once_not_in_every_process(artifact, data):
    process = call_cli(
        "edge-effnet", "check", artifact, "--data", data, "--device", "host", env={"WORLD_SIZE": "2", "RANK": "1"}
    )
    assert process.returncode == 2 and "start them without torchrun" in process.stderr


def test_options_of_devices_need_a_device(artifact, data):
    process = call_cli("edge-effnet", "check", artifact, "--data", data, "--limit", "3")
    assert process.returncode == 2 and "add --device" in process.stderr
