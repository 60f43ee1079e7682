import errno
import os
import resource
import tempfile
from pathlib import Path

import pytest

from edge_effnet.errors import MachineError
from quant.common.atomic_io import atomic_folder, exchange, explained_writes, require_writable, write_atomically
from tests.support.artifacts import snapshot


@pytest.fixture
def small_files():
    """A limit of 1 MB a file: what a write meets is a real refusal of the system, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(folder, text="new"):
    (folder / "golden").mkdir()
    (folder / "a.txt").write_text(text)
    (folder / "golden" / "b.txt").write_text(text)


def write_folder(target, text="new"):
    with atomic_folder(target) as temporary:
        fill(temporary, text)


def nothing_but(parent, *names):
    """Whether a folder holds these entries alone: no temporary one, hidden or not, is left."""
    return {path.name for path in parent.iterdir()} == set(names)


def test_a_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "made" / "b0") as temporary:
        fill(temporary)
        assert not (tmp_path / "made" / "b0").exists()
    assert snapshot(tmp_path) == {"made/b0/a.txt": b"new", "made/b0/golden/b.txt": b"new"}
    assert nothing_but(tmp_path / "made", "b0")


def test_a_folder_has_the_permissions_of_any_new_folder(tmp_path):
    write_folder(tmp_path / "b0")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "b0").stat().st_mode == (tmp_path / "plain").stat().st_mode
    write_atomically(tmp_path / "file", b"x")
    (tmp_path / "plain.txt").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_a_folder_replaces_the_old_one_and_nothing_of_it_stays(tmp_path):
    write_folder(tmp_path / "b0", "old")
    (tmp_path / "b0" / "extra").touch()
    write_folder(tmp_path / "b0")
    assert snapshot(tmp_path) == {"b0/a.txt": b"new", "b0/golden/b.txt": b"new"}
    assert nothing_but(tmp_path, "b0")


def test_a_relative_target_is_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(Path("b0"))
    assert nothing_but(tmp_path, "b0")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_stops_the_writing_leaves_the_old_folder_and_no_litter(tmp_path, fault):
    write_folder(tmp_path / "b0", "old")
    before = snapshot(tmp_path)

    def stopped():
        with atomic_folder(tmp_path / "b0") as temporary:
            fill(temporary)
            raise fault

    with pytest.raises(fault):
        stopped()
    assert snapshot(tmp_path) == before and nothing_but(tmp_path, "b0")


@pytest.fixture
def without_exchange(monkeypatch):
    """A file system that cannot exchange two folders in one step."""
    monkeypatch.setattr("quant.common.atomic_io.exchange", lambda first, second: False)


def test_a_folder_is_replaced_where_the_system_cannot_exchange(tmp_path, without_exchange):
    test_a_folder_replaces_the_old_one_and_nothing_of_it_stays(tmp_path)


def test_two_folders_are_exchanged_or_left_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    assert exchange(tmp_path / "a", tmp_path / "b") is ((tmp_path / "a" / "name").read_text() == "b")
    assert exchange(tmp_path / "a", tmp_path / "absent") is False
    assert nothing_but(tmp_path, "a", "b")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
@pytest.mark.parametrize("broken_call", [1, 2])
def test_a_rename_that_is_stopped_leaves_the_old_folder_and_no_litter(
    tmp_path, monkeypatch, without_exchange, broken_call, fault
):
    """The first rename takes the old folder away, the second puts the new one there."""
    write_folder(tmp_path / "b0", "old")
    before, calls, rename = snapshot(tmp_path), [], Path.rename

    def stopped(self, target):
        calls.append(target)
        if len(calls) == broken_call:
            raise fault
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt if fault is KeyboardInterrupt else MachineError):
            write_folder(tmp_path / "b0")
    assert snapshot(tmp_path) == before and nothing_but(tmp_path, "b0")


def test_an_interrupt_right_after_the_last_rename_keeps_the_new_folder(tmp_path, monkeypatch, without_exchange):
    write_folder(tmp_path / "b0", "old")
    calls, rename = [], Path.rename

    def stopped(self, target):
        calls.append(target)
        result = rename(self, target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            write_folder(tmp_path / "b0")
    assert (tmp_path / "b0" / "a.txt").read_text() == "new" and nothing_but(tmp_path, "b0")


def test_a_file_that_grows_beyond_a_limit_leaves_the_old_folder_and_no_litter(tmp_path, small_files):
    write_folder(tmp_path / "b0", "old")
    before = snapshot(tmp_path)
    with pytest.raises(MachineError, match=r"b0: cannot be written: the file would grow") as caught:
        write_folder(tmp_path / "b0", "x" * 2_000_000)
    assert "choose another disk" in str(caught.value)
    assert snapshot(tmp_path) == before and nothing_but(tmp_path, "b0")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the disk quota is used up; free some space"),
        (errno.EROFS, "the disk is read-only; choose another folder"),
        (errno.EACCES, "no permission to write; choose another folder"),
        (errno.EIO, "the disk fails; choose another"),
        (errno.ENAMETOOLONG, "the name is too long; choose a shorter one"),
        (errno.EMLINK, "Too many links; choose another folder"),
    ],
)
def test_refusals_of_the_system_are_explained(tmp_path, monkeypatch, code, sentence):
    write_folder(tmp_path / "b0", "old")
    before = snapshot(tmp_path)

    def refused(self, *arguments, **settings):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", refused)
        with pytest.raises(MachineError) as caught:
            write_folder(tmp_path / "b0")
    assert str(caught.value) == f"{tmp_path / 'b0'}: cannot be written: {sentence}."
    assert snapshot(tmp_path) == before and nothing_but(tmp_path, "b0")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, small_files):
    target = tmp_path / "base" / "line.json"
    write_atomically(target, b"old")
    with pytest.raises(MachineError, match=r"line\.json: cannot be written"):
        write_atomically(target, b"x" * 2_000_000)
    assert target.read_bytes() == b"old" and nothing_but(target.parent, "line.json")
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"


def test_an_interrupted_file_leaves_the_old_one(tmp_path, monkeypatch):
    write_atomically(tmp_path / "f", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old" and nothing_but(tmp_path, "f")


def test_a_file_does_not_replace_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(MachineError, match="folder: cannot be written"):
        write_atomically(tmp_path / "folder", b"x")
    assert nothing_but(tmp_path, "folder")


def test_a_place_below_a_file_is_refused_at_once_and_at_last(tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "deep" / "b0"
    with pytest.raises(MachineError, match="is a file; choose another folder"):
        require_writable(target)
    with pytest.raises(MachineError, match="cannot be written"):
        write_folder(target)
    assert nothing_but(tmp_path, "file")


@pytest.mark.parametrize("depth", ["b0", "new/folders/b0"])
def test_a_place_without_permission_is_refused_at_once(tmp_path, monkeypatch, depth):
    # Root may write everywhere, and tests may run as root.
    def refused(**settings):
        assert settings["dir"] == tmp_path
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    with pytest.raises(MachineError, match="no permission to write; choose another folder"):
        require_writable(tmp_path / depth)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that not even root may write into")
def test_a_place_that_lets_nobody_write_is_refused_at_once():
    with pytest.raises(MachineError, match="cannot be written"):
        require_writable(Path("/proc/nowhere/b0"))


@pytest.mark.parametrize("name", ["x" * 245, "x" * 300, "new/" + "x" * 245, "x" * 300 + "/b0"])
def test_a_name_that_is_too_long_for_the_temporary_one_is_refused_at_once(tmp_path, name):
    with pytest.raises(MachineError, match="the name is too long"):
        require_writable(tmp_path / name)
    assert nothing_but(tmp_path)


def test_looking_whether_a_place_can_be_written_leaves_nothing(tmp_path):
    require_writable(tmp_path / "b0")
    require_writable(tmp_path / "new" / "b0")
    assert nothing_but(tmp_path)


def test_a_mount_point_is_refused_at_once(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "disk")
    with pytest.raises(MachineError, match="it is a mount point"):
        require_writable(tmp_path / "disk")
    require_writable(tmp_path / "disk" / "b0")


def test_other_errors_pass_unexplained(tmp_path):
    with pytest.raises(ZeroDivisionError), explained_writes(tmp_path):
        raise ZeroDivisionError
