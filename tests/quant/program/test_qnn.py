"""Qualcomm's libraries: found or asked for, helped or refused, and what is read of their programs."""

import platform
from types import SimpleNamespace

import pytest

from edge_effnet.errors import InputError
from quant.lower.choices import check_options, choose
from quant.lower.options import BackendOptions
from quant.lower.table import BACKENDS
from quant.program import qnn_library
from quant.program.qnn_device import QnnError, needs_repair
from quant.program.qnn_payload import read_settings

# Of a B0 compiled for SM8750: executorch's `QnnExecuTorchOptions`.
SETTINGS = bytes.fromhex(
    "200000001c001e00040008000c001000000000000000000000000000140018001c0000007c0000004c00000038000000010000001c0000000c"
    "00000000000600080004000600000004000000000000000c00000073617665725f6f757470757400000000000000000000000008000e000400"
    "0800080000000200000018000000000012000c000000080000000000060000000700120000000000010102000000f4ffffff450000000c0000"
    "0008000c0004000800080000004f00000008000000"
)


def have(monkeypatch, tmp_path, *, wheel=None, sdk=None, files=("libQnnHtp.so", "libQnnSystem.so")):
    """Play a machine: version of the wheel, root of the SDK, what lies there."""
    monkeypatch.setattr(qnn_library.sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delenv(qnn_library.VARIABLE, raising=False)
    package = tmp_path / "onnxruntime_qnn"
    where = package if sdk is None else tmp_path / "sdk" / qnn_library.HOST
    where.mkdir(parents=True)
    for name in files:
        (where / name).touch()
    if sdk is not None:
        monkeypatch.setenv(qnn_library.VARIABLE, str(tmp_path / sdk))
    specs = {"cpuinfo": object(), "onnxruntime_qnn": SimpleNamespace(origin=str(package / "__init__.py"))}
    found = specs if wheel else {"cpuinfo": object()}
    monkeypatch.setattr(qnn_library.importlib.util, "find_spec", found.get)
    monkeypatch.setattr(qnn_library, "version", lambda name: wheel)


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        ({"wheel": "2.7.0"}, None),
        ({"wheel": "2.3.0"}, None),
        ({"wheel": "2.9.1"}, "2.9.1 was not tried with executorch 1.4.1 (tried: 2.3.0, 2.4.0, 2.7.0)"),
        ({}, "no QNN libraries here: pip install 'edge-effnet[qnn]'"),
        ({"sdk": "sdk"}, None),
        ({"sdk": "elsewhere", "wheel": "2.7.0"}, "no libQnnHtp.so lies in lib/x86_64-linux-clang there"),
        ({"wheel": "2.7.0", "files": ()}, "no QNN libraries here"),
    ],
)
def test_what_is_missing_is_said_before_any_work(monkeypatch, tmp_path, machine, sentence):
    have(monkeypatch, tmp_path, **machine)
    said = qnn_library.missing()
    assert (said is None) == (sentence is None)
    assert sentence is None or sentence in said
    if sentence is not None:
        with pytest.raises(InputError, match="--backend qnn: "):
            choose(["qnn"])


def test_other_hosts_are_refused(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "x86-64 Linux only" in qnn_library.missing()


@pytest.mark.parametrize(
    ("version", "taken", "wanted"),
    [
        ("2.27.0.1", (True, False), False),
        ("9.99.0.1", (True, False), False),
        ("2.51.0.260929181845", (False, True), True),
        ("2.47.0.260601114230", (False, True), True),
    ],
)
def test_only_known_releases_that_need_it_are_helped(version, taken, wanted):
    assert needs_repair(version, taken) is wanted


@pytest.mark.parametrize(
    ("version", "taken", "sentence"),
    [
        ("2.60.1.27", (False, True), "2.60.1.27 do not take .* none that its later layout was tried with"),
        ("2.51.0.27", (False, False), "its later layout neither; take those of QNN 2.27, or of 2.47, 2.48, 2.51"),
    ],
)
def test_other_releases_are_refused_with_those_that_do(version, taken, sentence):
    with pytest.raises(QnnError, match=sentence):
        needs_repair(version, taken)


def test_chips_that_do_not_exist_or_cannot_are_refused():
    with pytest.raises(InputError, match=r"--soc SM9999: choose one of: SM8350, .*SM8750"):
        BackendOptions(soc="SM9999")
    choices = [SimpleNamespace(backend=BACKENDS["qnn"], precision="fp16")]
    check_options(choices, BackendOptions(soc="SM8450"))
    with pytest.raises(InputError, match=r"HTP of SM8350 \(v68\) computes in whole numbers only.*SM8750"):
        check_options(choices, BackendOptions(soc="SM8350"))


def test_a_delegate_says_its_chip_and_its_compiler():
    payload = memoryview(b"\0" * 40 + b"v2.51.0.260929181845\0more")
    assert read_settings(SETTINGS, payload) == {"chip": "SM8750 (HTP v79)", "compiled by": "QNN 2.51.0"}
    assert read_settings(b"", memoryview(b""))["chip"].startswith("not readable")
