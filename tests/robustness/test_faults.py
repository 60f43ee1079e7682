"""Machines that fail: full and read-only disks, little memory, other processes, clocks, kills: one outcome each."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.cli.exit_codes import INPUT, MACHINE, PASS
from quant import check, quantize
from quant.artifact.open import open_artifact
from quant.common.atomic_io import atomic_folder
from quant.common.progress import NoProgress
from tests.robustness.faults.commands import COMMANDS
from tests.robustness.faults.kill import kill_loop
from tests.support.artifacts import make_artifact, snapshot
from tests.support.forked import run_forked
from tests.support.images import draw_halves
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant")


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own in memory."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def words_of(tiny: TinyFiles, out: Path) -> tuple[str, ...]:
    return (*COMMANDS["quantize"].words(tiny, Path(), out)[:-1], "--json")


def test_a_full_disk_is_told_and_the_old_artifact_stays(tiny, tiny_artifact, tmp_path):
    # Room for the artifact that is there, pages and folders included, and for a fifth of another.
    kilobytes = sum(-(-path.stat().st_size // 4096) * 4 + 4 for path in tiny_artifact.rglob("*")) * 6 // 5
    with mounted(tmp_path / "disk", f"{kilobytes}k") as disk:
        shutil.copytree(tiny_artifact, disk / "artifact")
        before = snapshot(disk)
        done = run_forked(*words_of(tiny, disk))
        assert done.returncode == MACHINE and "cannot be written: the disk is full" in done.stderr
        assert snapshot(disk) == before and {p.name for p in disk.iterdir()} == {"artifact"}


def test_a_full_disk_for_temporary_files_is_told(tiny, tmp_path):
    with mounted(tmp_path / "disk", "64k") as disk:
        done = run_forked(*words_of(tiny, tmp_path), env={"TMPDIR": str(disk)})
        assert done.returncode == MACHINE and "free some space" in done.stderr
        assert not list(disk.iterdir()) and not (tmp_path / "artifact").exists()


def test_a_read_only_disk_is_refused_before_any_work(tiny, tmp_path):
    with mounted(tmp_path / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        start = time.monotonic()
        done = run_forked(*words_of(tiny, disk))
        assert done.returncode == MACHINE and "cannot be written" in done.stderr
        assert "traceback" not in done.stderr.lower() and time.monotonic() - start < 60


class Vanishing(NoProgress):
    """Removes a folder when a stage begins."""

    def __init__(self, folder: Path, stage: str) -> None:
        self.folder, self.when = folder, stage

    def stage(self, title: str, total: int):
        if title == self.when:
            shutil.rmtree(self.folder)
        return super().stage(title, total)


def test_images_that_vanish_are_an_input_error(tmp_path):
    data = draw_halves(tmp_path / "data", train=1, val=2)
    folder = make_artifact(tmp_path / "a").folder
    from edge_effnet.errors import InputError

    with pytest.raises(InputError, match="no such file"):
        check(folder, data=data, progress=Vanishing(data, "Evaluating"))


def test_a_folder_for_the_artifact_that_vanishes_is_made_again(tiny, tmp_path):
    (tmp_path / "made").mkdir()
    progress = Vanishing(tmp_path / "made", "Evaluating")
    out = tmp_path / "made" / "a"
    quantize("lite0", weights=tiny.weights, data=tiny.data, calibration=24, out=out, progress=progress)
    open_artifact(out)


def leave_little_memory():
    """300 MB beside what this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 300_000_000,) * 2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")
def test_too_little_memory_is_one_sentence(tiny, tmp_path):
    """Enough to start, too little to work: what fails first is the system's choice, not how it ends."""
    done = run_forked(*words_of(tiny, tmp_path), before=leave_little_memory)
    assert done.returncode in (MACHINE, INPUT, PASS), done.stderr
    assert done.returncode == PASS or done.stderr.splitlines()[-1].startswith("error: ")
    assert (done.returncode == PASS) == (tmp_path / "artifact").exists()


def test_a_clock_that_jumps_changes_nothing(tiny_artifact, tiny, monkeypatch):
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1.7e9 - 86400 * next(jumps))
    found = check(tiny_artifact, data=tiny.data)
    assert found.passed and all(seconds >= 0 for seconds in found.seconds.values())


def test_runs_into_the_same_folder_leave_one_of_them_whole(tmp_path):
    target, processes = tmp_path / "a", []
    for number in range(8):
        process = os.fork()
        if process == 0:
            code = 1
            try:
                for _ in range(20):
                    with atomic_folder(target) as folder:
                        for name in ("one", "two"):
                            (folder / name).write_text(str(number))
                code = 0
            finally:
                os._exit(code)
        processes.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert codes == [0] * 8
    found = {path.name: path.read_text() for path in target.iterdir()}
    assert set(found) == {"one", "two"} and found["one"] == found["two"]
    assert {path.name for path in tmp_path.iterdir()} == {"a"}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_killed_commands_leave_whole_files(tiny, tiny_artifact, tmp_path, name):
    """Two moments, a write and another, of the hundreds that `python -m tests.robustness.faults` tries."""
    report = kill_loop(COMMANDS[name], tiny, tiny_artifact, tmp_path / name, kills=2, seed=1)
    assert report.failures == [] and report.kills == 2


def test_temporary_files_of_a_whole_run_are_gone(tiny_artifact, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    check(tiny_artifact, data=tiny.data)
    assert not list(tmp_path.iterdir())
