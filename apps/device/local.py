"""A runner in a process of its own on this machine: for `host`, and under an emulator for `arm64`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

from apps.device.job import Job, Settings
from apps.device.remote import Status
from edge_effnet.errors import MachineError
from edge_effnet.interrupts import interrupts_held
from quant.atomic import explained_writes
from quant.json_file import parse_json

RUNNER = "runner.py"


def runner_source() -> Path:
    """The self-contained runner that comes with this package."""
    return Path(str(resources.files("apps.device").joinpath(RUNNER)))


def parse_status(text: bytes | None) -> Status:
    """Content of status.json; what is not readable counts as absent."""
    try:
        value = parse_json(text or b"")
        return Status(state=str(value["state"]), done=int(value["done"]), error=value.get("error"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Status(state="absent")


class LocalRemote:
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
        self.name = name
        self.settings = settings
        self.notes: list[str] = []
        self._interpreter = list(interpreter)
        self._environment = {**os.environ, **(environment or {})}
        self._words = list(words)
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
        """Copy, or link: the job's files are as large as all its photographs."""
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
                with interrupts_held():
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
        status = parse_status(self.fetch("status.json"))
        ended = self._child is not None and self._child.poll() is not None
        if ended and status.state in ("absent", "running"):
            # It may have written its last word between the two looks.
            status = parse_status(self.fetch("status.json"))
            if status.state == "absent":
                raise MachineError(f"{self.name}: the runner does not start ({self._last_words()}).")
            if status.state == "running":
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

    def close(self) -> None:
        """Nothing is held open: a child that was kept has ended, or ends by itself."""

    def _last_words(self) -> str:
        lines = (self.fetch("log") or b"")[-2000:].decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self._child.returncode if self._child else '?'}"
