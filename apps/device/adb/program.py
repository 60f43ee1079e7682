"""The system's adb program: where it is, and how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from apps.device.remote import ConnectionLostError
from edge_effnet.errors import MachineError

ADB_VARIABLE = "ADB"
"""Environment: another adb than the one on the path, as Android's own tools have it."""

TIMEOUT_S = 600.0
"""A file of some hundred MB over the slowest USB takes less."""


def find_adb() -> str:
    """Return the adb program.

    Raises:
        MachineError: none is installed.
    """
    found = os.environ.get(ADB_VARIABLE) or shutil.which("adb")
    if found is None:
        raise MachineError(
            "adb is not installed here; install Android's platform-tools (Debian: apt-get install adb) and repeat."
        )
    return found


def call_adb(words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run adb to its end; `words` begin with the program.

    Raises:
        ConnectionLostError: no end in `TIMEOUT_S`.
        MachineError: it does not start.
    """
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=TIMEOUT_S)
    except OSError as error:
        raise MachineError(
            f"{words[0]}: does not start ({error.strerror}); ${ADB_VARIABLE} names the adb to use."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ConnectionLostError(f"adb: no answer in {TIMEOUT_S:.0f} s.") from error


def complaint(answer: subprocess.CompletedProcess[bytes]) -> str:
    """What went wrong, in adb's or the phone's words: its first line with an error, else its last."""
    lines = (answer.stdout + b"\n" + answer.stderr).decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return next((line for line in said if "error:" in line), said[-1] if said else "no word of it")
