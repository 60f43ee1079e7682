"""The commands: called in this process, or as the console scripts that they are, in processes of their own.

A process imports torch for four to ten seconds: it is for what a call cannot show, such as streams and signals.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

SCRIPTS = Path(sys.executable).parent

Called = tuple[int, str, str]
"""Exit code, standard output and standard error."""


def command_line(command: str, *arguments: object) -> list[str]:
    """Words that start `quantize` or `edge-effnet` of this very environment."""
    return [str(SCRIPTS / command), *(str(argument) for argument in arguments)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """One thread for torch: other work on the machine is left alone."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", **(extra or {})}


def call_cli(
    command: str, *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Call a command in this process; gives its exit code and what it says, as a process of its own would."""
    from apps.cli import edge_effnet
    from apps.cli.commands import quantize
    from apps.cli.exit_codes import guarded

    app = {"quantize": quantize.app, "edge-effnet": edge_effnet.app}[command]
    words = [str(argument) for argument in arguments]
    out, error = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, {"COLUMNS": "80", **(env or {})}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        code = guarded(lambda: app(words, standalone_mode=False))
    return subprocess.CompletedProcess([command, *words], code, out.getvalue(), error.getvalue())


def caller(capsys: pytest.CaptureFixture[str], app: Callable[..., Any], *first: object) -> Callable[..., Called]:
    """Calls a command in this process with these words first."""
    from apps.cli.exit_codes import guarded

    def call(*arguments: object) -> Called:
        words = [str(word) for word in (*first, *arguments)]
        code = guarded(lambda: app(words, standalone_mode=False))
        return code, *capsys.readouterr()

    return call


def run_cli(
    command: str,
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[str] = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Run a console script to its end."""
    return subprocess.run(
        command_line(command, *arguments),
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def only_json(stdout: str) -> dict[str, Any]:
    """The one JSON object that standard output holds; anything before or after it fails."""
    value = json.loads(stdout)
    assert isinstance(value, dict)
    return value
