"""Starts programs that need ExecuTorch quickly, as Android does: one process has loaded it and forks for each.

zygote.py serve SOCKET                              until its standard input ends
zygote.py run SOCKET SCRIPT ARGUMENT...             on the caller's standard streams; either ends with the other
zygote.py spawn SOCKET PIDFILE SCRIPT ARGUMENT...   in the background
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

CRASHED = 139


@contextlib.contextmanager
def zygote() -> Iterator[Path]:
    """Run one; gives the socket that reaches it."""
    # Sockets have short paths only.
    path = Path(tempfile.mkdtemp(prefix="eff-", dir="/tmp")) / "zygote"
    words = [sys.executable, "-P", __file__, "serve", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"ready\n"
        yield path
        process.stdin.close()
    shutil.rmtree(path.parent)


def interpreter(folder: Path, socket_path: Path) -> Path:
    """Write a program into a folder that runs scripts so, and everything else as Python does."""
    path = folder / "python"
    words = f"exec {sys.executable} -I -S {__file__} run {socket_path}"
    path.write_text(f'#!/bin/sh\ncase $1 in -c) exec {sys.executable} "$@" ;; -P) shift ;; esac\n{words} "$@"\n')
    path.chmod(0o755)
    return path


def serve(path: str) -> None:
    """Fork a process for every connection."""
    import numpy  # noqa: F401
    import torch  # noqa: F401
    from executorch.extension.pybindings import _portable_lib  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        print("ready", flush=True)  # noqa: T201
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                become(connection)
            connection.close()


def become(connection: socket.socket) -> None:
    """Turn this process into the program that is asked for, with the caller's folder, environment and streams."""
    import runpy

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    wanted = json.loads(request)
    os.chdir(wanted["folder"])
    os.environ.update(wanted["environment"])
    sys.argv = wanted["words"]
    connection.sendall(f"{os.getpid()}\n".encode())
    if wanted["watched"]:
        threading.Thread(target=lambda: connection.recv(1) or os._exit(CRASHED), daemon=True).start()
    code = CRASHED
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    finally:
        sys.stdout.flush()
        with contextlib.suppress(OSError):
            connection.sendall(str(code).encode())
        os._exit(code)


def ask(path: str, words: list[str], *, watched: bool) -> tuple[socket.socket, int]:
    """Have a program started on our streams, `watched` to end with us; the connection, and its process."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    request = {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ), "watched": watched}
    socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    pid = b""
    while not pid.endswith(b"\n"):
        pid += connection.recv(1)
    return connection, int(pid)


def main() -> int:
    task, path, *words = sys.argv[1:]
    if task == "serve":
        serve(path)
    elif task == "run":
        connection, _ = ask(path, words, watched=True)
        return int(connection.recv(16) or CRASHED)
    else:
        pid_file, *words = words
        Path(pid_file).write_text(str(ask(path, words, watched=False)[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
