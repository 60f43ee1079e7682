"""A double of adb's server: what it answers was written after adb's documented protocol, no phone is behind it.

The real adb client talks to it: OVERVIEW.TXT, SERVICES.TXT and SYNC.TXT of adb's sources say how. Services that the
transport does not use are refused.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.phone_double import PhoneDouble

FEATURES = "shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir"

STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
"""Packets of a shell, version 2."""


@dataclass
class AdbDouble:
    """A server with its phones."""

    phones: list[PhoneDouble]
    address: str = ""
    """What `ADB_SERVER_SOCKET` has to say."""
    requests: list[str] = field(default_factory=list)
    """Of every kind, in order."""

    def phone(self, serial: str) -> PhoneDouble | None:
        return next((phone for phone in self.phones if phone.serial == serial), None)

    def listing(self) -> str:
        """What `adb devices -l` prints."""
        seen = [phone for phone in self.phones if not (phone.switches / "unplugged").exists()]
        return "".join(
            f"{phone.serial:22} {phone.state} usb:1-1 product:shiba model:{phone.model} device:shiba transport_id:1\n"
            for phone in seen
        )


@contextlib.contextmanager
def adb_double(*phones: PhoneDouble) -> Iterator[AdbDouble]:
    """Run a server for these phones."""
    double = AdbDouble(list(phones))
    client_version()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, EOFError):
                Connection(double, self.request).serve()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        double.address = f"tcp:127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()
            for phone in phones:
                phone.close()


@cache
def client_version() -> int:
    """The protocol's version that the installed client wants: 41 of `version 1.0.41`."""
    said = subprocess.run(["adb", "version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version 1\.0\.(\d+)", said)
    assert match is not None, said
    return int(match[1])


class Connection:
    """One connection of the client."""

    def __init__(self, double: AdbDouble, wire: socket.socket) -> None:
        self.double = double
        self.wire = wire
        self.phone: PhoneDouble | None = None
        self.sending = threading.Lock()

    def serve(self) -> None:
        """Answer requests until one of them takes the connection for itself."""
        services: dict[str, Callable[[str], bool]] = {
            r"host:version": self.version,
            r"host:devices(?:-l)?": self.devices,
            r"host:tport:serial:(.+)": self.transport,
            r"host-serial:(.+):features": self.features,
            r"shell,v2[^:]*:(.*)": self.shell,
            r"exec:(.*)": self.execute,
            r"sync:": self.sync,
        }
        goes_on = True
        while goes_on:
            request = self.read(int(self.read(4), 16)).decode()
            self.double.requests.append(request)
            for pattern, service in services.items():
                match = re.fullmatch(pattern, request, re.DOTALL)
                if match is not None:
                    goes_on = service(match[1] if match.groups() else "")
                    break
            else:
                goes_on = self.fail("unknown host service")

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.wire.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def fail(self, reason: str) -> bool:
        self.wire.sendall(b"FAIL" + f"{len(reason):04x}{reason}".encode())
        return False

    def okay(self, text: str) -> bool:
        self.wire.sendall(b"OKAY" + f"{len(text):04x}{text}".encode())
        return False

    def version(self, _: str) -> bool:
        return self.okay(f"{client_version():04x}")

    def devices(self, _: str) -> bool:
        return self.okay(self.double.listing())

    def refusal(self, serial: str) -> str:
        phone = self.double.phone(serial)
        return f"device '{serial}' not found" if phone is None else phone.refusal()

    def features(self, serial: str) -> bool:
        refusal = self.refusal(serial)
        return self.fail(refusal) if refusal else self.okay(FEATURES)

    def transport(self, serial: str) -> bool:
        refusal = self.refusal(serial)
        if refusal:
            return self.fail(refusal)
        self.phone = self.double.phone(serial)
        self.wire.sendall(b"OKAY" + struct.pack("<Q", 1))
        return True

    def packet(self, kind: int, data: bytes) -> None:
        with self.sending:
            self.wire.sendall(struct.pack("<BI", kind, len(data)) + data)

    def shell(self, command: str) -> bool:
        """Run a command line with its three streams and its exit code."""
        assert self.phone is not None
        self.wire.sendall(b"OKAY")
        process = self.phone.popen(command)
        assert process.stdout is not None
        assert process.stderr is not None
        if self.phone.cuts(command):
            output, _ = process.communicate()
            self.packet(STDOUT, output[: len(output) // 2])
            return False
        threading.Thread(target=self.feed, args=(process,), daemon=True).start()
        threading.Thread(target=self.watch, args=(process,), daemon=True).start()
        errors: list[bytes] = []
        reader = threading.Thread(target=self.relay, args=(process.stderr, STDERR, errors), daemon=True)
        reader.start()
        self.relay(process.stdout, STDOUT, [])
        reader.join()
        code = process.wait()
        self.phone.answered(command, b"".join(errors).decode())
        self.packet(EXIT, bytes([code & 0xFF]))
        return False

    def feed(self, process: subprocess.Popen[bytes]) -> None:
        """Pass the client's input on, to its end or the connection's."""
        assert process.stdin is not None
        with contextlib.suppress(OSError, EOFError), process.stdin:
            while True:
                kind, length = struct.unpack("<BI", self.read(5))
                data = self.read(length)
                if kind == CLOSE_STDIN:
                    return
                if kind == STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Drop the connection when the phone goes away."""
        assert self.phone is not None
        while process.poll() is None:
            if (self.phone.switches / "unplugged").exists():
                self.wire.shutdown(socket.SHUT_RDWR)
                process.kill()
                return
            time.sleep(0.01)

    def relay(self, stream: Any, kind: int, kept: list[bytes]) -> None:
        with contextlib.suppress(OSError), stream:
            while chunk := stream.read1(65536):
                kept.append(chunk)
                self.packet(kind, chunk)

    def execute(self, command: str) -> bool:
        """Run a command line that reads a known length; standard output alone, no exit code."""
        assert self.phone is not None
        self.wire.sendall(b"OKAY")
        process = self.phone.popen(command)
        size = re.search(r"-S (\d+)$", command)
        output, _ = process.communicate(self.read(int(size[1])) if size else b"")
        if self.phone.cuts(command):
            return False
        self.wire.sendall(output)
        return False

    def sync(self, _: str) -> bool:
        """Look at files and take them."""
        assert self.phone is not None
        self.wire.sendall(b"OKAY")
        goes_on = True
        while goes_on:
            kind, length = struct.unpack("<4sI", self.read(8))
            path = self.read(length).decode()
            if kind == b"SEND":
                goes_on = self.take(self.phone, *path.rsplit(",", 1))
            elif kind in (b"STA2", b"LST2"):
                self.wire.sendall(kind + described(self.phone.root / path.lstrip("/")))
            else:
                goes_on = False
        return False

    def take(self, phone: PhoneDouble, path: str, mode: str) -> bool:
        """One file; whether the connection lives on."""
        data = b""
        while True:
            kind, length = struct.unpack("<4sI", self.read(8))
            if kind == b"DONE":
                break
            data += self.read(length)
        if phone.cuts(path):
            return False
        reason = phone.store(path, data, int(mode)).encode()
        self.wire.sendall(struct.pack("<4sI", b"FAIL" if reason else b"OKAY", len(reason)) + reason)
        return True


def described(path: Path) -> bytes:
    """What a `stat`, version 2, answers behind its name."""
    if not path.exists():
        return struct.pack("<IQQIIIIQqqq", 2, *[0] * 10)
    found = path.stat()
    mode = found.st_mode if stat.S_ISDIR(found.st_mode) else stat.S_IFREG | 0o644
    return struct.pack("<IQQIIIIQqqq", 0, 1, 1, mode, 1, 2000, 2000, found.st_size, 0, 0, 0)
