"""What the tests of the Android transport share: an artifact, images, a phone double behind the real adb."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.cli.edge_effnet import app
from apps.cli.exit_codes import guarded
from apps.device.check import check_on_device
from apps.device.job import drive
from apps.device.outcome import DeviceOutcome
from apps.device.remote import DeviceOptions
from tests.support.adb_double import AdbDouble, adb_double
from tests.support.artifacts import make_artifact
from tests.support.phone_double import PhoneDouble

needs_adb = pytest.mark.skipif(shutil.which("adb") is None, reason="no adb here (Debian: apt-get install adb)")

VERSIONS = {"torch": "2.13.0", "executorch": "1.4.1"}


def phone_artifact(folder: Path, **manifest: Any) -> Path:
    """An artifact whose program phones of this ExecuTorch run; the same bits are wanted of them."""
    return make_artifact(folder, **{"versions": VERSIONS, **manifest}).folder


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One phone, and what is run on it."""

    phone: PhoneDouble
    double: AdbDouble
    artifact: Path
    data: Path

    @property
    def env(self) -> dict[str, str]:
        """How the real adb client finds the double."""
        home = str(self.phone.root)
        return {"ADB_SERVER_SOCKET": self.double.address, "HOME": home, "XDG_CACHE_HOME": f"{home}/cache"}

    @property
    def kept(self) -> list[Path]:
        """Unfinished work that waits on this machine."""
        return sorted(self.phone.root.glob("cache/edge-effnet/device/*"))

    def check(self, *, device: str = "adb", apk: Path | None = None, **settings: Any) -> DeviceOutcome:
        """`check --device`, in this process."""
        options = DeviceOptions(apk=apk, executor_runner=settings.pop("executor_runner", None))
        folder, data = settings.pop("artifact", self.artifact), settings.pop("data", self.data)
        return check_on_device(folder, device=device, data=data, options=options, **settings)

    def refusal(
        self,
        capsys: pytest.CaptureFixture[str],
        *arguments: object,
        device: str = "adb",
        artifact: Path | None = None,
    ) -> tuple[int, str]:
        """Exit code and the one sentence on standard error of a `check --device` that fails."""
        words = ["check", artifact or self.artifact, "--data", self.data, "--device", device, *arguments]
        code = guarded(lambda: app([str(word) for word in words], standalone_mode=False))
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: "), err
        assert err.count("\n") == 1, err
        return code, err.removeprefix("error: ").strip()


@contextmanager
def phone_bench(folder: Path, forks: Path, artifact: Path, data: Path, *, app: bool = True) -> Iterator[Bench]:
    """A phone double in a folder, with our app or without; the driver waits less than for real phones."""
    phone = PhoneDouble(folder, forks)
    if not app:
        phone.uninstall()
    with adb_double(phone) as double, pytest.MonkeyPatch.context() as patch:
        bench = Bench(phone=phone, double=double, artifact=artifact, data=data)
        patch.setattr(drive, "POLL_S", 0.02)
        patch.setattr(drive, "FIRST_WAIT_S", 0.01)
        patch.delenv("ADB", raising=False)
        for name, value in bench.env.items():
            patch.setenv(name, value)
        yield bench


def assert_same_bits(found: DeviceOutcome, images: int = 6) -> None:
    """The device's logits are the host's, to the bit."""
    assert found.passed, found.outcome.verdict.reasons
    assert found.same is not None
    assert (found.same.identical, found.same.images) == (images, images)
