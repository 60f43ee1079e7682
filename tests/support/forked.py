"""Commands in forks of this process: processes of their own, in which torch is imported already (eight seconds)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tests.support.cli import environment


def run_forked(
    command: str,
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    before: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `quantize` or `edge-effnet` to its end.

    Args:
        command: one of the two.
        arguments: of it.
        cwd: its current folder.
        env: changes to its environment.
        before: called in it first.
    """
    words = [command, *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = start_forked(words, (out.fileno(), error.fileno()), cwd=cwd, env=env, before=before)
        _, status = os.waitpid(process, 0)
        out.seek(0), error.seek(0)
        return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), out.read(), error.read())


def start_forked(
    words: Sequence[str],
    outputs: tuple[int, int],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
) -> int:
    """Start a command with two descriptors for its standard output and error; returns the process, to be waited for.

    `after` is called in it where it comes to its end.
    """
    process = os.fork()
    if process == 0:
        _become(words, outputs, cwd or Path.cwd(), env, before, after)
    return process


def _become(
    words: Sequence[str],
    outputs: tuple[int, int],
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


def _take_streams(outputs: tuple[int, int]) -> None:
    silence = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((silence, *outputs)):
        os.dup2(descriptor, number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))


def _main_of(program: str) -> Callable[[], object]:
    from apps.cli import edge_effnet
    from apps.cli.commands import quantize

    return {"quantize": quantize.main, "edge-effnet": edge_effnet.main}[program]


def _called(main: Callable[[], object]) -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
    return 0
