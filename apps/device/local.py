"""`host` and `arm64:CPU`: a runner in a process of its own on this machine, native or under qemu-user."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from apps.device.remote import EMULATED, EMULATOR_VARIABLE, DeviceOptions, Remote, Settings, Status, last_line
from edge_effnet.errors import InputError, MachineError
from quant.common.atomic_io import explained_writes
from quant.common.json_io import parse_json

if TYPE_CHECKING:
    from apps.device.job.folder import Job

RUNNER = "runner.py"


def runner_source() -> Path:
    """The self-contained runner that comes with this package."""
    return Path(str(resources.files("apps.device.job").joinpath(RUNNER)))


def parse_status(text: bytes | None) -> Status:
    """Content of status.json; what is not readable counts as absent."""
    try:
        value = parse_json(text or b"")
        return Status(state=str(value["state"]), done=int(value["done"]), error=value.get("error"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Status(state="absent")


class LocalRemote(Remote):
    """A `Remote` whose folder is a temporary one of this machine."""

    def __init__(
        self,
        name: str,
        interpreter: Sequence[str],
        *,
        settings: Settings,
        environment: Mapping[str, str] | None = None,
        words: Sequence[str],
    ) -> None:
        super().__init__(name, settings)
        self._interpreter, self._words = interpreter, words
        self._environment = {**os.environ, **(environment or {})}
        self._folder: Path | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def open(self, job: Job) -> None:
        """Make a temporary folder."""
        if self._folder is None:
            with explained_writes(Path(tempfile.gettempdir())):
                self._folder = Path(tempfile.mkdtemp(prefix=f"edge-effnet-{job.id}-"))

    def missing(self, job: Job) -> list[str]:
        """Files that are not there yet."""
        assert self._folder is not None
        return [name for name in job.files if not (self._folder / name).exists()]

    def send(self, path: Path, name: str) -> None:
        """Copy, or link: the job's files are as large as all its images."""
        assert self._folder is not None
        target = self._folder / name
        with explained_writes(target):
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)

    def start(self, job: Job) -> None:  # noqa: ARG002  (of the protocol)
        """Start the interpreter on the runner."""
        assert self._folder is not None
        if self._child is not None and self._child.poll() is None:
            return
        runner = self._folder / RUNNER
        shutil.copyfile(runner_source(), runner)
        with (self._folder / "log").open("wb") as log:
            try:
                # A session of its own: Ctrl-C reaches us, and we end the child.
                self._child = subprocess.Popen(
                    [*self._interpreter, str(runner), str(self._folder), *self._words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                program = self._interpreter[0]
                raise MachineError(f"{self.name}: {program} does not start ({error.strerror}).") from error

    def status(self) -> Status:
        """As the runner says, unless it is dead."""
        # Before what it wrote is read: its last word may come between the two looks.
        code = None if self._child is None else self._child.poll()
        status = parse_status(self.fetch("status.json"))
        if code is not None and status.state == "absent":
            said = last_line((self.fetch("log") or b"")[-2000:].decode(errors="replace"))
            raise MachineError(f"{self.name}: the runner does not start ({said or f'exit code {code}'}).")
        if code is not None and status.state == "running":
            return Status(state="died", done=status.done)
        return status

    def fetch(self, name: str) -> bytes | None:
        """Read a file."""
        if self._folder is None:
            return None
        with suppress(FileNotFoundError):
            return (self._folder / name).read_bytes()
        return None

    def remove(self) -> None:
        """End the child and remove the folder."""
        if self._child is not None:
            if self._child.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def open_host(detail: str, options: DeviceOptions) -> Remote:
    """Return this machine as a device.

    Raises:
        InputError: anything behind the name.
    """
    if detail:
        raise InputError(f"--device host:{detail}: this machine has no other name; write --device host.")
    # -P: a torch.py in the job's folder is none of the runner's modules.
    return LocalRemote(
        "host",
        [sys.executable, "-P"],
        settings=Settings(threads=options.threads),
        words=["host", "", str(options.runtime_site or "")],
    )


CPUS = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "cortex-a710", "neoverse-n1")
"""qemu's models of what phones and boards have. Its `max` has SME kernels that none of them has."""

DEFAULT_CPU = "cortex-a76"

_EMULATOR = "armpy"


def open_arm64(detail: str, options: DeviceOptions) -> Remote:
    """Return an emulated ARM processor.

    The emulator is a program that runs aarch64 Python: `CPU=cortex-a76 EMULATOR script.py ...`.

    Args:
        detail: the processor; empty for `DEFAULT_CPU`.
        options: where the emulator is.

    Raises:
        InputError: an unknown processor, or no emulator named.
        MachineError: no emulator there.
    """
    cpu = parse_arm64(detail)
    emulator = find_emulator(options)
    return LocalRemote(
        f"arm64:{cpu}",
        [str(emulator)],
        settings=replace(EMULATED, threads=options.threads),
        environment={"CPU": cpu},
        words=["arm64", cpu, str(options.runtime_site or "")],
    )


def parse_arm64(detail: str) -> str:
    """Return the processor behind `arm64:`.

    Raises:
        InputError: an unknown one.
    """
    cpu = detail or DEFAULT_CPU
    if cpu not in CPUS:
        raise InputError(f"--device arm64:{cpu}: unknown processor; choose one of {', '.join(CPUS)}.")
    return cpu


def find_emulator(options: DeviceOptions) -> Path:
    """Return the emulator's program.

    Raises:
        InputError: none was named.
        MachineError: it is not there or cannot be executed.
    """
    named = options.emulator or os.environ.get(EMULATOR_VARIABLE)
    if not named:
        raise InputError(
            f"--device arm64: name the emulator with --emulator PATH or in {EMULATOR_VARIABLE}: a program that runs "
            "aarch64 Python with ExecuTorch; docs/device.md says how to make one."
        )
    given = Path(named)
    # Inside a folder that is given instead of it.
    path = given / _EMULATOR if (given / _EMULATOR).is_file() else given
    if not path.is_file() or not os.access(path, os.X_OK):
        raise MachineError(f"{given}: no program to start there; --emulator takes the one that runs aarch64 Python.")
    return path.resolve()
