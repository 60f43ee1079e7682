"""`check --device ssh:...` against a real sshd on loopback."""

import shutil

import pytest
import torch

from apps.device.check import check_on_device
from apps.device.job import drive
from apps.device.remote import DeviceOptions
from edge_effnet.errors import InputError, MachineError
from tests.support.artifacts import make_artifact
from tests.support.cli import call_cli, only_json
from tests.support.devices import Trigger
from tests.support.images import draw_halves, draw_image
from tests.support.refusals import refusal_of
from tests.support.sshd import SSHD, board

pytestmark = pytest.mark.skipif(
    not (shutil.which(SSHD) and shutil.which("ssh")), reason="needs OpenSSH's server: apt-get install openssh-server"
)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return make_artifact(tmp_path_factory.mktemp("artifact") / "a").folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = draw_halves(tmp_path_factory.mktemp("data"), train=1, val=4)
    draw_image(folder / "val" / "red" / "$(touch pwned) ; `touch pwned`.jpg", seed=9)
    return folder


@pytest.fixture(scope="module")
def pi(quick_python, tmp_path_factory):
    with board(tmp_path_factory.mktemp("board"), quick_python) as found:
        yield found


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(drive, "FIRST_WAIT_S", 0.05)


def options(pi, **changes):
    return DeviceOptions(**{"ssh_config": pi.config, "remote_python": str(pi.python), **changes})


def check(artifact, data, pi, **settings):
    return check_on_device(artifact, device="ssh:board", data=data, options=options(pi), **settings)


@pytest.mark.usefixtures("quick_host")
def test_a_board_gives_the_hosts_logits_and_keeps_nothing(artifact, data, pi):
    found = check(artifact, data, pi)
    host = check_on_device(artifact, device="host", data=data)
    assert found.passed and found.same.identical == 13
    assert torch.equal(found.results.logits, host.results.logits)
    device = found.to_json()["device"]
    assert (device["transport"], device["runtime"], device["emulated"]) == ("ssh", "1.4.1", False)
    assert device["latency_p50_ms"] > 0 and device["load_ms"] > 0 and device["peak_memory_bytes"] > 10e6
    assert pi.left_behind() == []


def test_no_shell_there_reads_a_images_name(artifact, data, pi):
    pi.commands.unlink(missing_ok=True)
    check(artifact, data, pi)
    assert "pwned" not in pi.commands.read_text()
    assert not list(pi.home.rglob("pwned"))


def test_the_command_line_says_so_too(artifact, data, pi, tmp_path):
    process = call_cli(
        "edge-effnet", "check", artifact, "--data", data, "--device", "ssh:board", "--ssh-config", pi.config,
        "--remote-python", pi.python, "--limit", "6", "--results", tmp_path / "pi.json", "--json",
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    values = only_json(process.stdout)
    assert values["device"]["host"]["identical"] == values["images"]["evaluation"] == 6
    assert (tmp_path / "pi.json").is_file()


@pytest.mark.parametrize("stage", ["Sending", "Running"])
def test_a_dropped_connection_is_made_again(artifact, data, pi, stage):
    trigger = Trigger(**{stage: pi.cutter.cut})
    found = check(artifact, data, pi, progress=trigger)
    assert trigger.at == {}, "the connection was cut"
    assert found.passed and found.same.identical == 13
    assert pi.left_behind() == []


def test_a_board_that_stays_away_ends_in_one_sentence_and_the_next_run_goes_on(artifact, data, pi, monkeypatch):
    monkeypatch.setattr(drive, "RETRIES", 1)

    def shut():
        pi.cutter.shut = True
        pi.cutter.cut()

    try:
        with pytest.raises(MachineError, match=r"ssh:board: the connection broke .* rerun to resume\."):
            check(artifact, data, pi, progress=Trigger(Running=shut))
    finally:
        pi.cutter.shut = False
    trigger = Trigger()
    assert check(artifact, data, pi, progress=trigger).same.identical == 13
    # Everything was there already.
    assert "Sending" not in [title for title, _ in trigger.seen]
    assert pi.left_behind() == []


def test_an_interrupted_run_leaves_nothing_there_and_goes_on_from_here(artifact, data, pi, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(artifact, data, pi, progress=Trigger(Running=interrupt))
    assert pi.left_behind() == []
    kept = list((tmp_path / "cache").rglob("*.jsonl"))
    assert len(kept) == 1 and kept[0].read_text().count("\n") >= 1
    assert check(artifact, data, pi).same.identical == 13
    assert list((tmp_path / "cache").rglob("*.jsonl")) == []


def test_keep_leaves_the_job_there(artifact, data, pi):
    check(artifact, data, pi, keep=True)
    assert any(name.endswith("results.json") for name in pi.left_behind())
    check(artifact, data, pi)
    assert pi.left_behind() == []


def test_refusals_are_one_sentence_with_what_to_do(artifact, data, pi, tmp_path):
    def refusal(kind, device, **changes):
        settings = {"device": device, "data": data, "options": options(pi, **changes)}
        return refusal_of(check_on_device, artifact, error=kind, **settings)

    (tmp_path / "config").write_text(pi.config.read_text().replace("/user\n", "/host\n"))
    assert "ssh-copy-id" in refusal(MachineError, "ssh:board", ssh_config=tmp_path / "config")
    closed = pi.config.read_text().replace(f"Port {pi.cutter.port}", "Port 1")
    (tmp_path / "config").write_text(closed)
    assert "nothing listens there" in refusal(MachineError, "ssh:board", ssh_config=tmp_path / "config")
    assert "no ExecuTorch for /nowhere/python" in refusal(MachineError, "ssh:board", remote_python="/nowhere/python")
    for target in ("ssh:", "ssh:-oProxyCommand=x", "ssh:a b", "ssh:pi@board:port", "ssh:$(x)"):
        assert "need ssh:USER@HOST" in refusal(InputError, target)
    assert pi.left_behind() == []


def test_a_runtime_older_than_the_program_is_refused_there(data, pi, tmp_path):
    newer = make_artifact(tmp_path / "a", versions={"executorch": "99.0.0"}).folder
    with pytest.raises(MachineError, match=r"made by ExecuTorch 99\.0\.0, the device's runtime is 1\.4\.1, .*older"):
        check(newer, data, pi)
    absent = make_artifact(tmp_path / "b", backend="vulkan").folder
    with pytest.raises(MachineError, match=r"runtime has no vulkan backend \(it has .*XnnpackBackend"):
        check(absent, data, pi)
    assert pi.left_behind() == []
