"""What every device offers, however it is reached, what may be said about it, and how it runs and times a program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_effnet.errors import MachineError

if TYPE_CHECKING:
    from apps.device.job.folder import Job


def last_line(text: str) -> str:
    """What a program said last; empty where it said nothing."""
    return (text.strip().splitlines() or [""])[-1].strip()


class ConnectionLostError(MachineError):
    """The device went away; it may come back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command on a device ended with."""

    code: int
    output: bytes
    error: str
    """Last line of its standard error."""

    @property
    def text(self) -> str:
        """Standard output, with what is no UTF-8 replaced."""
        return self.output.decode(errors="replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How far a runner is."""

    state: str
    """`absent` (no runner has begun), `running`, `done` or `failed`; `died` where it ended without a word."""
    done: int = 0
    """Images."""
    error: str | None = None
    """Of a runner that failed: one sentence."""


def unlike(job: Job, listing: str) -> list[str]:
    """Names of the job's files that a `sha256sum` listing lacks or has otherwise."""
    found = {name: sha256 for sha256, _, name in (line.partition("  ") for line in listing.splitlines())}
    return [name for name, sha256 in job.files.items() if found.get(name) != sha256]


class Remote(ABC):
    """One device with one job folder on it. Every method may raise `ConnectionLostError` and `MachineError`."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        """As the user named it: `ssh:pi@raspberrypi`."""
        self.settings = settings
        """How programs are run and timed there."""
        self.notes: list[str] = []
        """Sentences on what it said of itself before the run: a low battery, heat. Complete when `open` returned."""

    @abstractmethod
    def open(self, job: Job) -> None:
        """Reach the device, refuse one that cannot run the job, and make the job's folder there."""

    @abstractmethod
    def missing(self, job: Job) -> list[str]:
        """Names of the job's files that the device lacks or has otherwise."""

    @abstractmethod
    def send(self, path: Path, name: str) -> None:
        """Copy a file into the job's folder, whole or not at all."""

    @abstractmethod
    def start(self, job: Job) -> None:
        """Start the runner; one that runs already continues."""

    @abstractmethod
    def status(self) -> Status:
        """Ask how far it is."""

    @abstractmethod
    def fetch(self, name: str) -> bytes | None:
        """Content of a file of the job's folder; None where there is none."""

    @abstractmethod
    def remove(self) -> None:
        """Stop the runner and remove everything that was put onto the device."""

    def close(self) -> None:  # noqa: B027  (nothing to do where nothing is held open)
        """Let the device go, whatever is on it; the last call."""


EMULATOR_VARIABLE = "EDGE_EFFNET_EMULATOR"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceOptions:
    """Settings of single transports; each reads its own."""

    threads: int = 1
    """Of the device's runtime."""
    emulator: Path | None = None
    """arm64: program that starts an aarch64 Python; None takes the environment's `EDGE_EFFNET_EMULATOR`."""
    ssh_config: Path | None = None
    """ssh: file for its -F: identity, port, jump host."""
    remote_python: str = "python3"
    """ssh: the interpreter there that has ExecuTorch."""
    apk: Path | None = None
    """adb: app to install first."""
    executor_runner: Path | None = None
    """adb: an `executor_runner` built for Android, to use instead of the app."""
    runtime: str | None = None
    """host, arm64: release of executorch to run instead of the installed one."""
    runtime_site: Path | None = None
    """Folder where that release lies; None of the installed one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a device runs and times a program."""

    threads: int = 1
    warmup: int = 10
    """Forwards that do not count: clocks rise, caches fill."""
    repeats: int = 50
    """Forwards that do."""
    loads: int = 3
    """Cold loads; their median is reported."""
    rerun_images: int = 4
    """Images, evenly of all, that run again at the end: their bits have to come again."""
    reruns: int = 4
    """How often each of them does."""


EMULATED = Settings(warmup=0, repeats=1, loads=1, rerun_images=2, reruns=1)
"""An emulator's times say nothing of a phone's: as few as the format allows. Each forward takes about a second."""
