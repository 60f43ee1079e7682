"""`check --device adb`: the real adb client, and behind it a double of its server and of a phone."""

import logging
import re
import shutil
import socket
import subprocess

import pytest
import torch

from apps.device.adb.phones import list_phones
from apps.device.job import drive
from apps.device.job.results import read_results
from apps.device.listing import list_devices
from apps.device.remote import DeviceOptions
from apps.device.sameness import compare
from edge_effnet.errors import InputError
from tests.support.cli import call_cli, only_json
from tests.support.images import COLOURS, draw_halves, draw_image
from tests.support.phone_double import APP, PhoneDouble
from tests.support.phones import assert_same_bits, needs_adb, phone_artifact, phone_bench

pytestmark = needs_adb

HOSTILE = sorted(("$(mkdir pwned)", "a'; mkdir pwned; '", 'b"|`mkdir pwned` > -rf'))
"""Names that a shell would run."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_halves(tmp_path_factory.mktemp("data"), train=1, val=2)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    return phone_artifact(tmp_path_factory.mktemp("artifact") / "a")


@pytest.fixture
def bench(tmp_path, forks, artifact, data):
    with phone_bench(tmp_path / "phone", forks, artifact, data) as bench:
        yield bench


def test_the_whole_way_from_the_command_line(bench, tmp_path):
    words = ("--data", bench.data, "--device", "adb", "--results", tmp_path / "phone.json", "--json")
    done = call_cli("edge-effnet", "check", bench.artifact, *words, env=bench.env)
    assert (done.returncode, done.stderr) == (0, "")
    values = only_json(done.stdout)
    assert (values["verdict"], values["device"]["transport"]) == ("pass", "adb")
    assert not any("The phone" in note for note in values["notes"])
    assert values["device"]["exact"] and values["device"]["host"]["identical"] == 6
    assert values["device"]["forwards"] == 50
    assert read_results(tmp_path / "phone.json").logits.shape == (6, 3)
    assert bench.phone.forwards == 6
    assert (bench.phone.left_behind, bench.phone.errors) == ([], [])


def test_a_phone_whose_bits_vary_fails_whatever_its_classes_are(bench, tmp_path):
    bench.phone.set("vary", "")
    found = bench.check(results=tmp_path / "phone.json")
    assert not found.passed and found.same.identical == 6, "the first runs are right"
    (failure,) = [f for f in found.outcome.findings if f.code == "device-varies"]
    assert found.outcome.verdict.reasons[0].startswith("the device does not repeat itself: 1 of 4 images that ran")
    assert failure.items == tuple(found.to_json()["device"]["repeated"]["varied"]) and len(failure.items) == 1
    (reason,) = compare(tmp_path / "phone.json", tmp_path / "phone.json").reasons[:1]
    assert "does not repeat itself" in reason


def test_no_string_of_a_user_reaches_a_shell_on_the_phone(bench, tmp_path):
    """Not the names of classes, images, folders."""
    root = tmp_path / HOSTILE[0]
    for name, colour in zip(HOSTILE, COLOURS, strict=True):
        for image in HOSTILE[:2]:
            draw_image(root / HOSTILE[2] / "val" / name / f"{image}.jpg", colour, seed=HOSTILE.index(image))
    found = bench.check(artifact=phone_artifact(root / HOSTILE[1], classes=HOSTILE), data=root / HOSTILE[2])
    assert_same_bits(found)
    assert HOSTILE[0] in found.results.images[0][0]
    assert "pwned" not in "".join([*bench.phone.seen, *bench.double.requests])
    words = re.compile(r"[A-Za-z0-9 ./_|>&;$?:'-]*")
    assert [line for line in bench.phone.seen if not words.fullmatch(line)] == []
    assert list(bench.phone.root.rglob("*pwned*")) == []


@pytest.mark.parametrize("serial", ["$(reboot)", "a b", "-s", "x;reboot", "a" * 200])
def test_a_serial_that_is_none_is_refused_before_adb_is_asked(bench, capsys, serial):
    code, said = bench.refusal(capsys, device=f"adb:{serial}")
    assert code == 2 and "not a serial; take one that `edge-effnet devices` lists" in said
    assert bench.double.requests == []


def test_one_of_several_phones_has_to_be_named(bench, capsys, tmp_path, forks):
    other = PhoneDouble(tmp_path / "other", forks, serial="192.168.1.7:5555", model="Fairphone_5")
    bench.double.phones.append(other)
    code, said = bench.refusal(capsys)
    assert code == 2
    assert "several phones; name one of 3A190DLJH000XK (Pixel 8), 192.168.1.7:5555 (Fairphone 5)" in said
    found = bench.check(device="adb:192.168.1.7:5555")
    assert_same_bits(found)
    assert found.results.values["device"]["transport"] == "adb"
    assert (bench.phone.seen, other.left_behind) == ([], [])


STATES = {
    "unauthorized": "asks for permission: unlock it and allow USB debugging",
    "offline": "is offline: unplug it and plug it in again",
    "no permissions": "may not be opened by this user: add udev rules",
    "recovery": "is in recovery mode: restart it",
    "strange": "is in the state 'strange': restart it",
}


@pytest.mark.parametrize("state", STATES)
def test_a_phone_that_cannot_be_used_says_why(bench, capsys, state):
    bench.phone.state = state
    code, said = bench.refusal(capsys)
    assert code == 3 and STATES[state] in said and bench.phone.serial in said
    assert bench.phone.seen == []


def test_no_phone_and_an_unknown_serial(bench, capsys):
    code, said = bench.refusal(capsys, device="adb:nobody")
    assert (code, said) == (3, "--device adb:nobody: no such phone; adb sees 3A190DLJH000XK (Pixel 8).")
    bench.double.phones.clear()
    code, said = bench.refusal(capsys)
    assert code == 3 and said.startswith("--device adb: no phone; connect one by USB with USB debugging switched on")
    code, said = bench.refusal(capsys, device="adb:nobody")
    assert code == 3 and said.endswith("adb sees none.")


def armv7(phone):
    phone.set("prop-ro.product.cpu.abi", "armeabi-v7a")


def no_app(phone):
    phone.uninstall()


def release_build(phone):
    phone.install("release")


def no_activity(phone):
    (phone.root / "bin" / "am").write_text("#!/bin/sh\necho 'Error: Activity class does not exist.'\n")


def full_disk(phone):
    phone.full = "pixels-0000.u8"


def dying_app(phone):
    phone.at(3, "die")


REFUSALS = {
    armv7: "its processor is armeabi-v7a; ExecuTorch has code for arm64-v8a and x86_64 only",
    no_app: "the app org.edgeeffnet.app is not installed there; build it (apps/android/README.md) and pass it once",
    release_build: "the app there is a release build; install the debug one",
    no_activity: "the app does not start (Error: Activity class does not exist.)",
    full_disk: "the phone is full; free some space on it, or take fewer images (--limit)",
    dying_app: "its runner ended without a word: the program crashes the runtime there, or the system ended it",
}


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.__name__)
def test_a_phone_that_cannot_do_it_gives_one_sentence_and_keeps_nothing(bench, capsys, fault):
    fault(bench.phone)
    code, said = bench.refusal(capsys)
    assert code == 3 and said.startswith("adb:3A190DLJH000XK: ") and REFUSALS[fault] in said
    assert bench.phone.left_behind == []


PROGRAMS = {
    "newer": (
        {"versions": {"torch": "2.13.0", "executorch": "99.0.0"}},
        "made by ExecuTorch 99.0.0, the device's runtime is 1.4.1",
    ),
    "backend": ({"backend": "vulkan"}, "the device's runtime has no vulkan backend (it has "),
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_program_that_the_runtime_there_cannot_run(bench, capsys, tmp_path, kind):
    manifest, words = PROGRAMS[kind]
    code, said = bench.refusal(capsys, artifact=phone_artifact(tmp_path / "a", **manifest))
    assert code == 3 and words in said
    assert bench.phone.left_behind == []


INSTALLATIONS = {
    "INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries": "the app has no code for this phone's",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "the phone has no room for the app",
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match": "signed by somebody else, is installed; remove it",
    "INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #28": "the phone's Android is too old for the app",
    "INSTALL_FAILED_USER_RESTRICTED: Install canceled by user": "asks whether apps may be installed over USB",
    "INSTALL_PARSE_FAILED_NOT_APK": "install fails there (adb: failed to install",
}


@pytest.mark.parametrize("reason", INSTALLATIONS)
def test_an_app_that_the_phone_refuses(bench, capsys, tmp_path, reason):
    bench.phone.uninstall()
    bench.phone.set("install", f"Failure [{reason}]")
    (tmp_path / "app.apk").write_bytes(bytes(1000))
    code, said = bench.refusal(capsys, "--apk", tmp_path / "app.apk")
    assert code == 3 and INSTALLATIONS[reason] in said
    assert bench.phone.left_behind == []


def test_a_file_that_is_no_app(bench, capsys, tmp_path):
    assert bench.refusal(capsys, "--apk", tmp_path / "app.apk")[0] == 2
    (tmp_path / "app.zip").write_bytes(b"")
    code, said = bench.refusal(capsys, "--apk", tmp_path / "app.zip")
    assert code == 2 and "need a file that ends in .apk" in said
    assert bench.phone.seen == []


def test_an_app_put_there_for_the_run_is_removed_again(bench, tmp_path):
    """Even where the connection broke while it was being installed."""
    apk = tmp_path / "with space and 'quote'.apk"
    apk.write_bytes(bytes(range(256)) * 40)
    bench.phone.uninstall()
    bench.phone.cut = ["package", "pixels-0000.u8"]
    assert_same_bits(bench.check(apk=apk))
    assert (bench.phone.switches / "apk").read_bytes() == apk.read_bytes()
    assert not (bench.phone.switches / "installed").exists()
    assert bench.phone.left_behind == []


def test_kept_work_is_used_again_and_an_app_that_was_there_stays(bench, tmp_path):
    (tmp_path / "app.apk").write_bytes(b"app")
    bench.phone.feel(level=12, tenths=412, status=2)
    found = bench.check(apk=tmp_path / "app.apk", keep=True, limit=3)
    assert [note for note in found.outcome.notes if "battery is at 12 %: below 20 % it saves power" in note]
    assert [note for note in found.outcome.notes if "throttles (moderate, its battery has 41 degrees" in note]
    assert [place for place in bench.phone.left_behind if place.endswith("results.json")]
    sent = len(bench.phone.seen)
    again = bench.check(limit=3)
    assert torch.equal(again.results.logits, found.results.logits)
    assert not any(word in line for line in bench.phone.seen[sent:] for word in ("am start", "model.pte.part"))
    assert bench.phone.forwards == 3
    assert bench.phone.left_behind == [] and (bench.phone.switches / "installed").exists()


OTHERS = {
    "truncated": lambda text: text[: len(text) // 2],
    "of another job": lambda text: re.sub(r'"program_sha256": "\w+"', f'"program_sha256": "{"0" * 64}"', text),
    "sent results of": lambda text: re.sub(r'"job": "\w+"', f'"job": "{"0" * 16}"', text),
}


def test_results_that_are_not_this_jobs(bench):
    bench.check(keep=True, limit=3)
    (results,) = bench.phone.private.glob(f"{APP.jobs_folder}/*/results.json")
    good = results.read_text()
    for words, change in OTHERS.items():
        results.write_text(change(good))
        with pytest.raises(InputError, match=words):
            bench.check(keep=True, limit=3)


def test_connections_that_break_half_way_cost_nothing_but_time(bench, caplog):
    """Where adb itself ends with 0: a listing, a file that is read, a program that is looked for; and a push."""
    bench.phone.cut = ["sha256sum", "/job.json", "am start", "results.json"]
    with caplog.at_level(logging.WARNING):
        assert_same_bits(bench.check())
    assert bench.phone.cut == []
    assert bench.phone.forwards == 6
    assert bench.phone.left_behind == []
    assert all("the phone went away" in record.message for record in caplog.records) and caplog.records


def test_a_phone_that_comes_back_goes_on_where_it_was(bench, caplog):
    bench.phone.at(4, "unplug", away=3)
    with caplog.at_level(logging.WARNING):
        assert_same_bits(bench.check())
    assert "the phone went away (error: device '3A190DLJH000XK' not found). Trying again" in caplog.text
    assert bench.phone.forwards == 6
    assert len([line for line in bench.phone.seen if line.startswith("am start")]) == 1
    assert bench.phone.left_behind == [] and bench.kept == []


def test_a_phone_that_never_comes_back_leaves_its_images_here(bench, capsys, caplog, monkeypatch):
    monkeypatch.setattr(drive, "SAVE_S", 0.0)
    bench.phone.at(4, "unplug-when-saved")
    with caplog.at_level(logging.CRITICAL):
        code, said = bench.refusal(capsys)
    assert code == 3 and said.endswith("Given up after 6 attempts; rerun to resume.")
    (kept,) = bench.kept
    done = len(kept.read_text().splitlines())
    assert 1 <= done <= 3
    # Another phone's worth of memory: nothing of the job is there any more.
    bench.phone.close()
    bench.phone.plug_in()
    shutil.rmtree(bench.phone.private / APP.jobs_folder)
    (bench.phone.switches / "forwards").unlink()
    assert_same_bits(bench.check())
    assert bench.phone.forwards == 6 - done
    assert bench.phone.left_behind == [] and bench.kept == []


def test_devices_lists_phones_with_battery_and_heat(bench, tmp_path, forks):
    bench.phone.feel(level=9)
    bench.double.phones.append(PhoneDouble(tmp_path / "o", forks, serial="other", state="unauthorized"))
    done = call_cli("edge-effnet", "devices", "--json", env=bench.env)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (d for d in only_json(done.stdout)["devices"] if d["device"].startswith("adb"))
    assert (first["device"], first["what"], first["ready"]) == ("adb:3A190DLJH000XK", "Pixel 8", True)
    assert first["state"] == {"battery_percent": 9, "battery_c": 29.1, "throttling": "none"}
    assert first["note"].startswith("The phone's battery is at 9 %")
    assert (second["device"], second["ready"], second["state"]) == ("adb:other", False, None)
    assert second["note"] == "asks for permission: unlock it and allow USB debugging"


def test_without_adb(bench, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = bench.refusal(capsys)
    assert code == 3 and said.startswith("adb is not installed here; install Android's platform-tools")
    monkeypatch.setenv("ADB", str(tmp_path))
    code, said = bench.refusal(capsys)
    assert code == 3 and said == f"{tmp_path}: does not start (Permission denied); $ADB names the adb to use."
    monkeypatch.setenv("ADB", str(tmp_path / "absent"))
    code, said = bench.refusal(capsys)
    assert code == 3 and "absent: does not start (No such file or directory)" in said


def test_the_real_server_without_a_phone(bench, capsys, monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ADB_SERVER_SOCKET", f"tcp:{free.getsockname()[1]}")
    # Its log.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    try:
        if list_phones():
            pytest.skip("a phone is connected")
        code, said = bench.refusal(capsys)
    finally:
        subprocess.run(["adb", "kill-server"], capture_output=True, check=True)
    assert code == 3 and said.startswith("--device adb: no phone; connect one by USB")
    assert bench.double.requests == []


def test_a_server_that_cannot_be_reached(bench, capsys, monkeypatch):
    """Not one of this machine: adb starts none."""
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:127.0.0.1:1")
    code, said = bench.refusal(capsys)
    assert code == 3 and said.startswith("adb devices fails (") and said.endswith("try `adb kill-server` and repeat.")
    listed = [device for device in list_devices(DeviceOptions()) if device.device == "adb"]
    assert [(device.ready, device.note) for device in listed] == [(False, said.rstrip("."))]
