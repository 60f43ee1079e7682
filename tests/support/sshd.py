"""A real sshd on loopback: host and user keys of its own, a home of its own, and a way to cut its connections."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@dataclass
class Board:
    """What stands for a board: a folder is its home, `bin/` in it comes first on its PATH."""

    home: Path
    config: Path
    """For ssh's -F."""
    python: Path
    """Its interpreter."""
    port: int
    cutter: Cutter
    commands: Path
    """Every command line that the board was given."""

    def left_behind(self) -> list[str]:
        """Files and folders in its home that the test did not put there."""
        return sorted(str(p.relative_to(self.home)) for p in self.home.rglob("*") if p.parts[-1] != "bin")


@dataclass
class Cutter:
    """A door between ssh and sshd that closes on everybody inside."""

    target: int
    port: int = 0
    shut: bool = False
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def cut(self) -> None:
        """End every connection."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.shut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self._pairs.append((client, server))
            threading.Thread(target=_join, args=(client, server), daemon=True).start()


def _join(client: socket.socket, server: socket.socket) -> None:
    """Carry bytes both ways until either side is gone."""
    with client, server:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def board(folder: Path, python: Path) -> Iterator[Board]:
    """Start a sshd; commands run in a home below `folder`."""
    home, keys = folder / "home", folder / "keys"
    for path in (home / "bin", keys):
        path.mkdir(parents=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    shutil.copy(keys / "user.pub", keys / "authorized")
    commands = folder / "commands"
    wrapper = folder / "wrapper"
    # What the account's own shell would do, in a home of its own.
    wrapper.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$SSH_ORIGINAL_COMMAND" >> {commands}\n'
        f'export HOME={home} PATH={home}/bin:$PATH\ncd {home} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    wrapper.chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    port = _free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nForceCommand {wrapper}\nLogLevel ERROR\nMaxStartups 100\n"
    )
    daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=subprocess.DEVNULL)
    cutter = Cutter(target=port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cutter.port = listener.getsockname()[1]
        threading.Thread(target=cutter.serve, args=(listener,), daemon=True).start()
        client = folder / "ssh_config"
        client.write_text(
            f"Host board\n HostName 127.0.0.1\n Port {cutter.port}\n User {getpass.getuser()}\n"
            f" IdentityFile {keys}/user\n IdentitiesOnly yes\n UserKnownHostsFile {keys}/known\n"
            " StrictHostKeyChecking accept-new\n"
        )
        try:
            _await(port)
            yield Board(home=home, config=client, python=python, port=port, cutter=cutter, commands=commands)
        finally:
            cutter.cut()
            daemon.terminate()
            daemon.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _await(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("sshd does not listen")
