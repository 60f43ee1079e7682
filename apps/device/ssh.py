"""`ssh:USER@HOST[:PORT]`: Linux boards with Python and ExecuTorch, through the system's own ssh, keys only."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from apps.device.job.folder import Job
from apps.device.local import RUNNER, parse_status, runner_source
from apps.device.remote import Answer, ConnectionLostError, DeviceOptions, Remote, Settings, Status, last_line, unlike
from edge_effnet.errors import InputError, MachineError

# What OpenSSH's own parser takes for a user, a host name and an address; nothing that could be an option.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_TARGET = re.compile(rf"(?:(?P<user>{_NAME})@)?(?P<host>{_NAME})(?::(?P<port>\d{{1,5}}))?")

_COMMAND_TIMEOUT_S = 600.0

_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
    "ControlMaster=auto",
    "ControlPersist=60",  # how long a connection that nobody closed waits for commands
)

_HOME = ".edge-effnet"
"""Folder below the home on the board; removed when it is empty again."""

_ABSENT = 44
"""Exit code of our own commands for a file that is not there."""

_REFUSALS = {
    "Permission denied": "the board refuses the key; put yours there (ssh-copy-id), passwords are not asked for",
    "Host key verification failed": "its host key is not known, or has changed; connect once by hand (ssh) to see it",
    "Could not resolve hostname": "no such host; check its name",
    "Connection refused": "nothing listens there; start sshd on the board, or give the right port",
    "timed out": "no answer; check that it is on and in this network",
    "No route to host": "no way there; check that it is on and in this network",
}
"""What ssh says before the first command ran: no use in trying again."""


class SshRemote(Remote):
    """A `Remote` behind ssh."""

    def __init__(self, name: str, target: str, port: str | None, options: DeviceOptions) -> None:
        super().__init__(name, Settings(threads=options.threads))
        self._python = options.remote_python
        self._target = target
        words = [
            "ssh",
            *(["-F", str(options.ssh_config.resolve())] if options.ssh_config else []),
            *(["-p", port] if port else []),
            *(word for option in _OPTIONS for word in ("-o", option)),
        ]
        # Sockets have short paths only: the system's folder, not one below the user's TMPDIR.
        self._sockets = tempfile.TemporaryDirectory(prefix="eff-", dir="/tmp")
        # The first command's connection carries the later ones; ssh makes a new one when it broke.
        self._ssh = [*words, "-S", f"{self._sockets.name}/s"]
        self._reached = False
        self._folder = ""

    def open(self, job: Job) -> None:
        """Connect, look for Python with ExecuTorch, make the folder."""
        self._folder = f"{_HOME}/{job.id}"
        self._require_executorch(job)
        made = self._run(f"mkdir -p {self._folder}")
        if made.code:
            raise MachineError(f"{self.name}: no folder can be made in its home ({made.error}).")

    def missing(self, job: Job) -> list[str]:
        """Compare SHA-256 of what is there."""
        answer = self._run(f"cd {self._folder} && sha256sum -- {' '.join(job.files)} 2>/dev/null")
        return unlike(job, answer.text)

    def send(self, path: Path, name: str) -> None:
        """Stream a file, rename it when it is whole."""
        place = f"{self._folder}/{name}"
        with path.open("rb") as file:
            answer = self._run(f"cat > {place}.part && mv {place}.part {place}", stdin=file.fileno())
        if answer.code:
            full = "No space left" in answer.error
            advice = "its disk is full; free some space there" if full else answer.error
            raise MachineError(f"{self.name}: {name} cannot be written: {advice}.")

    def start(self, job: Job) -> None:  # noqa: ARG002  (of the protocol)
        """Start the runner so that it outlives the connection."""
        if self.status().state in ("running", "done"):
            return
        self.send(runner_source(), RUNNER)
        python = shlex.quote(self._python)
        self._run(
            f"cd {self._folder} && rm -f status.json && "
            f"{{ nohup setsid {python} {RUNNER} . ssh > log 2>&1 < /dev/null & echo $! > runner.pid; }}"
        )

    def status(self) -> Status:
        """As the runner says, unless it is dead."""
        alive = f"kill -0 $(cat {self._folder}/runner.pid) 2>/dev/null && echo alive"
        text = self._run(f"{alive}; cat {self._folder}/status.json 2>/dev/null; echo").text
        running = text.startswith("alive")
        status = parse_status(text.removeprefix("alive").strip().encode())
        if running or status.state in ("done", "failed"):
            return status
        if status.state == "running":
            return Status(state="died", done=status.done)
        log = self.fetch("log")
        if log is not None:
            last = last_line(log[-500:].decode(errors="replace"))
            raise MachineError(f"{self.name}: the runner does not start there ({last or 'no word of it'}).")
        return status

    def fetch(self, name: str) -> bytes | None:
        """Read a file."""
        place = f"{self._folder}/{name}"
        answer = self._run(f"test -f {place} || exit {_ABSENT}; cat {place}")
        return None if answer.code == _ABSENT else answer.output

    def remove(self) -> None:
        """End the runner and remove the folder."""
        if self._folder and self._reached:
            pid = f"$(cat {self._folder}/runner.pid 2>/dev/null)"
            self._run(f"kill -9 -- -{pid} 2>/dev/null; rm -rf {self._folder}; rmdir {_HOME} 2>/dev/null; true")

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            subprocess.run([*self._ssh, "-O", "exit", "--", self._target], capture_output=True, check=False)
        self._sockets.cleanup()

    def _require_executorch(self, job: Job) -> None:
        wanted = job.values["program"]["executorch"]
        question = "import importlib.metadata as m; print(m.version('executorch'))"
        # Elsewhere than in the home folder, whose modules `-c` would take for Python's own (-P takes Python 3.11).
        answer = self._run(f"cd / && {shlex.quote(self._python)} -c {shlex.quote(question)}")
        if answer.code:
            raise MachineError(
                f"{self.name}: no ExecuTorch for {self._python} there; install it on the board (pip install "
                f"executorch=={wanted}), or name the interpreter that has it (--remote-python)."
            )

    def _run(self, command: str, *, stdin: int = subprocess.DEVNULL) -> Answer:
        """Run a command line on the board; it holds words of ours, and quoted ones, only."""
        try:
            done = subprocess.run(
                [*self._ssh, "--", self._target, command],
                stdin=stdin,
                capture_output=True,
                check=False,
                timeout=_COMMAND_TIMEOUT_S,
            )
        except FileNotFoundError as error:
            raise MachineError("ssh is not installed here; install the OpenSSH client.") from error
        except subprocess.TimeoutExpired as error:
            raise ConnectionLostError(f"{self.name}: no answer in {_COMMAND_TIMEOUT_S:.0f} s.") from error
        said = done.stderr.decode(errors="replace")
        # 255 is ssh's own; what runs there has no reason to use it.
        if done.returncode == 255:
            raise self._unreachable(said)
        self._reached = True
        return Answer(done.returncode, done.stdout, last_line(said))

    def _unreachable(self, said: str) -> MachineError:
        if self._reached:
            return ConnectionLostError(f"{self.name}: the connection broke ({last_line(said)}).")
        for sign, sentence in _REFUSALS.items():
            if sign in said:
                return MachineError(f"{self.name}: {sentence}.")
        return MachineError(f"{self.name}: cannot be reached ({last_line(said) or 'no answer'}).")


def open_ssh(detail: str, options: DeviceOptions) -> Remote:
    """Return a board as a device.

    Raises:
        InputError: not `USER@HOST` or `HOST`, with a port behind a colon where it is not 22.
    """
    match = _TARGET.fullmatch(detail)
    if match is None:
        raise InputError(f"--device ssh:{detail}: need ssh:USER@HOST or ssh:HOST, with :PORT where it is not 22.")
    user, host = match["user"], match["host"]
    return SshRemote(f"ssh:{detail}", f"{user}@{host}" if user else host, match["port"], options)
