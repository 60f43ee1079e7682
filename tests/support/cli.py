"""The real console scripts, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

SCRIPTS = Path(sys.executable).parent


def command_line(command: str, *arguments: object) -> list[str]:
    """Words that start `quantize` or `edge-effnet` of this very environment."""
    return [str(SCRIPTS / command), *(str(argument) for argument in arguments)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """One thread for torch: other work on the machine is left alone."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", **(extra or {})}


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
