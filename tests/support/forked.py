"""Commands in forks of this process: processes of their own, in which torch is imported already (eight seconds)."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.support.cli import environment


class Forked:
    """A running `quantize` or `edge-effnet`; what it says goes into files.

    Args:
        command: one of the two.
        arguments: of it.
        out: a descriptor for its standard output instead.
        error: one for its standard error.
        settings: of `start_forked`.
    """

    def __init__(
        self, command: str, *arguments: object, out: int | None = None, error: int | None = None, **settings: Any
    ) -> None:
        self._words = [command, *map(str, arguments)]
        self._files = [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115  (closed in `wait`)
        outputs = [given or file.fileno() for given, file in zip((out, error), self._files, strict=True)]
        self.pid = start_forked(self._words, outputs, **settings)
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self._code is None:
            process, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if process else None
        return self._code

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        said = []
        for file in self._files:
            with file:
                file.seek(0)
                said.append(file.read())
        return subprocess.CompletedProcess(self._words, self._code, *said)


def run_forked(command: str, *arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run `quantize` or `edge-effnet` to its end; arguments as `Forked`."""
    return Forked(command, *arguments, **settings).wait()


def start_forked(
    words: Sequence[str],
    outputs: Sequence[int],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> int:
    """Start a command; returns the process, to be waited for.

    Args:
        words: the command and its arguments.
        outputs: descriptors for its standard output and error.
        cwd: its current folder.
        env: changes to its environment.
        before: called in it first.
        after: called in it where it comes to its end.
    """
    process = os.fork()
    if process == 0:
        _become(words, outputs, cwd or Path.cwd(), env, before, after)
    return process


def _become(
    words: Sequence[str],
    outputs: Sequence[int],
    cwd: Path,
    env: Mapping[str, str] | None,
    before: Callable[[], object] | None,
    after: Callable[[], object] | None,
) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.chdir(cwd)
        os.environ.update(environment(env))
        _take_streams(outputs)
        tempfile.tempdir = os.environ.get("TMPDIR")
        # A job in the background ignores interrupts, and hands that down to all that it starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Nothing of pytest's: warnings and records go where the command sends them.
        warnings.resetwarnings()
        logging.root.handlers.clear()
        sys.argv = list(words)
        if before is not None:
            before()
        code = _called(_main_of(words[0]))
        if after is not None:
            after()
    finally:
        os._exit(code)


def _take_streams(outputs: Sequence[int]) -> None:
    silence = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((silence, *outputs)):
        os.dup2(descriptor, number)
    sys.stdin = os.fdopen(0, closefd=False)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding=encoding, closefd=False) for number in (1, 2))
    sys.stderr.reconfigure(line_buffering=True)


def _main_of(program: str) -> Callable[[], object]:
    from apps.cli import edge_effnet
    from apps.cli.commands import quantize

    return {"quantize": quantize.main, "edge-effnet": edge_effnet.main}[program]


def _called(main: Callable[[], object]) -> int:
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    try:
        sys.stdout.flush()
    except OSError:  # as Python itself has it, where its last words cannot be written
        code = 120
    return code
