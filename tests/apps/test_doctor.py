"""`edge-effnet doctor`: says what is there, and never fails for want of it."""

import json
import re
import subprocess
import tomllib

import pytest

from apps import doctor
from apps.cli import edge_effnet
from apps.cli.exit_codes import guarded
from apps.device.native_libraries import Packaged
from tests.support.cli import only_json
from tests.support.native import make_archive
from tests.support.paths import ROOT

REQUIRED = {"torch", "torchao", "executorch", "pillow"}

ASK_RUNTIME = doctor._ask_runtime


def run(*arguments):
    return guarded(lambda: edge_effnet.app(["doctor", *arguments], standalone_mode=False))


@pytest.fixture(autouse=True)
def _runtime_that_answers(monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout="noise\nbackends: XnnpackBackend OpenvinoBackend\n", stderr="")
    monkeypatch.setattr(doctor, "_ask_runtime", lambda: answer)


@pytest.fixture
def without(monkeypatch):
    """Make packages absent, or of another version."""

    def change(**versions):
        real = doctor._version
        monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, real(name)))

    return change


def test_table_fits_the_terminal_and_names_every_group(capsys):
    assert run() == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for word in (
        "installation",
        "runtime",
        "XnnpackBackend",
        "backends",
        "devices",
        "extras",
        "machine",
        "free disk",
    ):
        assert word in out


def test_json_holds_every_finding(capsys):
    assert run("--json") == 0
    found = only_json(capsys.readouterr().out)
    assert found["sound"] is True
    assert {one["name"] for one in found["findings"] if one["required"]} >= REQUIRED
    assert all(one["advice"] for one in found["findings"] if not one["ready"] and one["group"] != "machine")


@pytest.mark.parametrize("version", [None, "2.12.0"])
def test_a_stack_that_does_not_belong_together_is_a_machine_error(version, without, capsys):
    without(torch=version)
    assert run() == 3
    assert "pip install torch==2.13.0" in capsys.readouterr().out


def test_a_build_for_one_machine_is_the_same_release(without):
    without(torch="2.13.0+cpu")
    assert run() == 0


def test_extras_that_are_missing_come_with_their_command(without, capsys):
    without(webdataset=None)
    assert run("--json") == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert found["training"]["advice"] == "pip install 'edge-effnet[training]'"


def test_every_extra_is_listed_and_none_is_required():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = [one for one in doctor.examine() if one.group == "extras"]
    assert {one.name for one in listed} == set(extras) and not any(one.required for one in listed)


@pytest.mark.parametrize("failure", [OSError("no such file"), subprocess.TimeoutExpired("python", 1), None])
def test_a_runtime_that_does_not_start_is_said(failure, monkeypatch, capsys):
    def start():
        if failure:
            raise failure
        return subprocess.CompletedProcess([], -11, stdout="", stderr="")

    monkeypatch.setattr(doctor, "_ask_runtime", start)
    assert run() == 3
    assert "does not start" in capsys.readouterr().out


def test_a_package_that_was_never_installed_is_no_crash(monkeypatch):
    def absent(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", absent)
    monkeypatch.setattr(doctor, "version", absent)
    assert run() == 3
    assert not any(one.ready for one in doctor.examine() if one.group == "extras")


def test_a_module_in_the_current_folder_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "executorch.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert "backends: " in ASK_RUNTIME().stdout
    assert not (tmp_path / "ran").exists()


def test_a_native_library_that_some_phones_cannot_map_is_said(monkeypatch, capsys):
    packaged = Packaged(libraries=1, wrong=("app-debug.apk: arm64-v8a/libx.so is aligned to 4096 bytes, not 16384",))
    monkeypatch.setattr(doctor, "packaged_libraries", lambda *_, **__: packaged)
    assert run("--json") == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert not found["native libraries"]["ready"] and "4096 bytes" in found["native libraries"]["found"]


BUILT = "app/build/outputs/apk/debug/app-debug.apk"


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADLE_USER_HOME", str(tmp_path / "gradle"))
    project = tmp_path / "theirs"
    (project / "app").mkdir(parents=True)
    (project / "settings.gradle").write_text("include ':app'\n")
    (project / "app/build.gradle").write_text("implementation 'org.pytorch:executorch-android:1.3.0'\n")
    return project


@pytest.mark.parametrize(("align", "code", "said"), [(16384, 0, "all 1 native"), (4096, 3, "aligned to 4096 bytes")])
def test_a_project_that_is_named_has_to_have_aligned_libraries(align, code, said, theirs, capsys):
    make_archive(theirs / BUILT, align=align)
    assert run("--project", str(theirs)) == code
    assert said in re.sub(r"\s+", " ", capsys.readouterr().out)


def test_the_release_that_it_pins_is_looked_at(theirs, tmp_path):
    folder = tmp_path / "gradle/caches/modules-2/files-2.1/org.pytorch/executorch-android/1.3.0/0"
    make_archive(folder / "executorch-android-1.3.0.aar", align=4096)
    assert run("--project", str(theirs)) == run("--project", str(theirs / "app")) == 3


def test_a_project_of_which_nothing_was_built_is_not_called_sound(theirs, capsys):
    assert run("--project", str(theirs), "--json") == 3
    found = {one["name"]: one for one in only_json(capsys.readouterr().out)["findings"]}
    assert "build it first" in found["native libraries"]["advice"]


def test_a_project_that_is_not_there_is_an_input_error(tmp_path, capsys):
    assert run("--project", str(tmp_path / "nowhere")) == run("--project", str(tmp_path)) == 2
    assert "no such folder" in capsys.readouterr().err
