"""The system's adb: how it is called, the Android phones that it sees, and the one that is meant."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from apps.device.remote import ConnectionLostError
from edge_effnet.errors import InputError, MachineError

ADB_VARIABLE = "ADB"
"""Environment: another adb than the one on the path, as Android's own tools have it."""

TIMEOUT_S = 600.0
"""A file of some hundred MB over the slowest USB takes less."""

_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

_STATES = {
    "unauthorized": "asks for permission: unlock it and allow USB debugging",
    "offline": "is offline: unplug it and plug it in again",
    "connecting": "is about to connect: repeat in a moment",
    "authorizing": "is about to ask for permission: unlock it and allow USB debugging",
    "no permissions": "may not be opened by this user: add udev rules for Android, or join the plugdev group",
    "recovery": "is in recovery mode: restart it",
    "rescue": "is in rescue mode: restart it",
    "sideload": "is in sideload mode: restart it",
    "bootloader": "is in its bootloader: restart it",
}
"""What adb says of a phone that cannot be used, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phone:
    """One line of `adb devices -l`."""

    serial: str
    state: str
    """`device` where it can be used."""
    model: str

    @property
    def usable(self) -> bool:
        """Whether commands reach it."""
        return self.state == "device"

    @property
    def advice(self) -> str:
        """What stands in the way; empty where nothing does."""
        return "" if self.usable else _STATES.get(self.state, f"is in the state {self.state!r}: restart it")


def list_phones() -> list[Phone]:
    """Ask adb for the phones that it sees.

    Raises:
        MachineError: no adb, or its server does not start.
    """
    answer = call_adb([find_adb(), "devices", "-l"])
    if answer.returncode:
        raise MachineError(f"adb devices fails ({complaint(answer)}); try `adb kill-server` and repeat.")
    return parse_phones(answer.stdout.decode(errors="replace"))


def parse_phones(text: str) -> list[Phone]:
    """Read what `adb devices -l` prints."""
    phones = []
    for line in text.splitlines():
        # The serial, blanks, and a state that may have a blank itself.
        match = re.match(r"(\(no serial number\)|\S+)\s+(no permissions|\S+)(.*)", line)
        if match is None or line.startswith(("List of devices", "*")):
            continue
        model = re.search(r"model:(\S+)", match[3])
        phones.append(
            Phone(serial=match[1], state=match[2], model=model[1].replace("_", " ") if model else "unknown model")
        )
    return phones


def choose_phone(serial: str) -> Phone:
    """Return the phone named, or the only one.

    Raises:
        InputError: a serial that cannot be one, or several phones and none named.
        MachineError: no phone, or one that cannot be used; the message says what to do.
    """
    if serial and not _SERIAL.fullmatch(serial):
        raise InputError(f"--device adb:{serial}: not a serial; take one that `edge-effnet devices` lists.")
    phones = list_phones()
    listed = ", ".join(f"{phone.serial} ({phone.model})" for phone in phones)
    phone = next((phone for phone in phones if serial in ("", phone.serial)), None)
    if phone is None:
        if serial:
            raise MachineError(f"--device adb:{serial}: no such phone; adb sees {listed or 'none'}.")
        raise MachineError(
            "--device adb: no phone; connect one by USB with USB debugging switched on (developer options)."
        )
    if not serial and len(phones) > 1:
        raise InputError(f"--device adb: several phones; name one of {listed}: --device adb:{phone.serial}.")
    if not phone.usable:
        raise MachineError(f"--device adb: {phone.serial} {phone.advice}.")
    return phone


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
