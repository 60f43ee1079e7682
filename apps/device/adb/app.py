"""`adb[:SERIAL]`: an Android phone, through the app of `apps/android`."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

from apps.device.adb.client import SCRATCH, AdbClient, read_state
from apps.device.adb.phones import choose_phone
from apps.device.adb.runner import AdbRunnerRemote
from apps.device.job.folder import Job
from apps.device.local import parse_status
from apps.device.remote import DeviceOptions, Remote, Settings, Status, last_line, unlike
from edge_effnet.errors import InputError, MachineError

ABIS = ("arm64-v8a", "x86_64")
"""Processors that ExecuTorch's library for Android has code for."""


@cache
def android_app() -> SimpleNamespace:
    """Names and versions that Python and the app of `apps/android` share: `android.json`."""
    return SimpleNamespace(**json.loads(resources.files("apps.device.adb").joinpath("android.json").read_text()))


class AdbAppRemote(Remote):
    """A `Remote` whose job folder lies among the app's private files: `run-as` opens it, for debug builds only."""

    def __init__(self, client: AdbClient, options: DeviceOptions) -> None:
        super().__init__(f"adb:{client.phone.serial}", Settings(threads=options.threads))
        self._client = client
        self._apk = options.apk
        self._app = android_app()
        self._installed = self._installed_here = False
        self._started = False
        self._folder = self._scratch = ""

    def open(self, job: Job) -> None:
        """Note battery and heat, install or find the app, make the folders."""
        self._folder, self._scratch = f"{self._app.jobs_folder}/{job.id}", f"{SCRATCH}/edge-effnet-{job.id}"
        # What the run itself does to the phone after a lost connection is no news.
        if not self._started:
            self.notes = read_state(self._client).notes()
        self._require_app()
        self._client.shell(f"mkdir -p {self._scratch}")
        self._inside(f"mkdir -p {self._folder}")

    def missing(self, job: Job) -> list[str]:
        """Compare SHA-256 of what is there."""
        listing = self._inside(f"cd {self._folder} && sha256sum {' '.join(job.files)} 2>/dev/null", check=False)
        return unlike(job, listing)

    def send(self, path: Path, name: str) -> None:
        """Push a file and let the app's own user take it over."""
        passed, place = f"{self._scratch}/{name}", f"{self._folder}/{name}"
        self._client.push(path, passed)
        self._client.shell(f"cat {passed} | {self._as_app(f'cat > {place}.part && mv {place}.part {place}')}")
        self._client.shell(f"rm -f {passed}")

    def start(self, job: Job) -> None:
        """Wake the screen and start the app's activity for the job."""
        if self.status().state in ("running", "done"):
            return
        self._inside(f"rm -f {self._folder}/status.json")
        self._client.shell("input keyevent KEYCODE_WAKEUP", check=False)
        app = self._app
        said = self._client.shell(
            f"am start -W -n {app.package}/{app.activity} -a {app.action} --es {app.extras['job']} {job.id}"
        )
        if "Error" in said:
            raise MachineError(f"{self.name}: the app does not start ({last_line(said)}).")
        self._started = True

    def status(self) -> Status:
        """As the app says, unless it is gone."""
        # Before what it wrote is read: its last word may come between the two looks.
        runs = bool(self._client.shell(f"pidof {self._app.package}", check=False).strip())
        status = parse_status(self.fetch("status.json"))
        begun = status.state == "running" or (self._started and status.state == "absent")
        return Status(state="died", done=status.done) if begun and not runs else status

    def fetch(self, name: str) -> bytes | None:
        """Read a file."""
        return self._client.read(f"run-as {self._app.package} cat {self._folder}/{name} 2>/dev/null")

    def remove(self) -> None:
        """Stop the app, remove the folders, and the app too where it was put there for this run."""
        if not self._folder:
            return
        self._client.shell(f"am force-stop {self._app.package}", check=False)
        self._inside(f"rm -rf {self._folder}; rmdir {self._app.jobs_folder} 2>/dev/null", check=False)
        self._client.shell(f"rm -rf {self._scratch}", check=False)
        if self._installed_here:
            self._client.shell(f"pm uninstall {self._app.package}", check=False)

    def _require_app(self) -> None:
        if self._installed:
            return
        there = bool(self._client.shell(f"pm path {self._app.package}", check=False).strip())
        if self._apk is not None:
            # Before it is installed: an installation that is lost on its way may have come to its end there.
            self._installed_here = self._installed_here or not there
            self._client.install(self._apk)
        elif not there:
            raise MachineError(
                f"{self.name}: the app {self._app.package} is not installed there; build it (apps/android/README.md) "
                "and pass it once: --apk FILE; or pass an executor_runner: --executor-runner FILE."
            )
        self._installed = True

    def _as_app(self, command: str) -> str:
        return f"run-as {self._app.package} sh -c '{command}'"

    def _inside(self, command: str, *, check: bool = True) -> str:
        return self._client.shell(self._as_app(command), check=check)


def open_adb(detail: str, options: DeviceOptions) -> Remote:
    """Return an Android phone as a device: with the app, or with the user's own executor_runner.

    Raises:
        InputError: several phones and none named, a serial that is none, or a file to install that is none.
        MachineError: no adb, no phone, or one that cannot be used.
    """
    apk, runner = options.apk, options.executor_runner
    if apk is not None and not apk.is_file():
        raise InputError(f"--apk {apk}: no such file; build it: see apps/android/README.md.")
    if apk is not None and apk.suffix != ".apk":
        raise InputError(f"--apk {apk}: not an Android app; need a file that ends in .apk.")
    if runner is not None and not runner.is_file():
        raise InputError(
            f"--executor-runner {runner}: no such file; build ExecuTorch's executor_runner as docs/device.md says."
        )
    client = AdbClient(choose_phone(detail))
    abi = client.shell("getprop ro.product.cpu.abi").strip()
    if abi not in ABIS:
        raise MachineError(
            f"adb:{client.phone.serial}: its processor is {abi or 'unknown'}; ExecuTorch has code for "
            f"{' and '.join(ABIS)} only."
        )
    if runner is not None:
        return AdbRunnerRemote(client, runner, Settings(threads=options.threads))
    return AdbAppRemote(client, options)
