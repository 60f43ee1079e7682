"""The system's adb client: one phone chosen, its commands, and its complaints as sentences."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from apps.device.remote import ConnectionLostError
from edge_effnet.errors import InputError, MachineError

ADB_VARIABLE = "ADB"
"""Environment: another adb than the one on the path, as Android's own tools have it."""

_TIMEOUT_S = 600.0

_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

_STATES = {
    "unauthorized": "asks for permission: unlock it and allow USB debugging",
    "offline": "is offline: unplug it and plug it in again",
    "authorizing": "is about to ask for permission: unlock it and allow USB debugging",
    "no permissions": "may not be opened by this user: add udev rules for Android, or join the plugdev group",
    "recovery": "is in recovery mode: restart it",
    "sideload": "is in sideload mode: restart it",
    "bootloader": "is in its bootloader: restart it",
}
"""What adb says of a phone that cannot be used, and what to do."""

_GONE = ("device offline", "not found", "no devices", "error: closed", "protocol fault", "connection reset")


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


def list_phones() -> list[Phone]:
    """Ask adb for the phones that it sees.

    Raises:
        MachineError: no adb, or its server does not start.
    """
    answer = _call([find_adb(), "devices", "-l"])
    if answer.returncode:
        raise MachineError(f"adb devices fails ({_last_line(answer)}); try `adb kill-server` and repeat.")
    return parse_phones(answer.stdout.decode(errors="replace"))


def parse_phones(text: str) -> list[Phone]:
    """Read what `adb devices -l` prints."""
    phones = []
    for line in text.splitlines():
        # The serial, blanks, and a state that may have a blank itself.
        match = re.match(r"(\S+)\s+(no permissions|\S+)(.*)", line)
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
    if serial:
        named = [phone for phone in phones if phone.serial == serial]
        if not named:
            raise MachineError(f"--device adb:{serial}: no such phone; adb sees {listed or 'none'}.")
        phone = named[0]
    else:
        if not phones:
            raise MachineError(
                "--device adb: no phone; connect one by USB with USB debugging switched on (developer options)."
            )
        if len(phones) > 1:
            raise InputError(f"--device adb: several phones; name one of {listed}: --device adb:{phones[0].serial}.")
        phone = phones[0]
    if not phone.usable:
        raise MachineError(f"--device adb: {phone.serial} {phone.advice}.")
    return phone


class AdbClient:
    """Commands to one phone."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._words = [find_adb(), "-s", phone.serial]

    def shell(self, command: str, *, check: bool = True) -> str:
        """Run a command line of ours on the phone; its standard output.

        Args:
            command: fixed words, serials and ids only: a shell on the phone reads it.
            check: whether a failure is an error.

        Raises:
            ConnectionLostError: the phone went away.
            MachineError: the command failed.
        """
        answer = self._checked(["shell", "-T", command])
        if check and answer.returncode:
            raise self._failed(command.split(maxsplit=1)[0], answer)
        return answer.stdout.decode(errors="replace")

    def read(self, command: str) -> bytes:
        """Standard output of a command, byte for byte; empty where it failed."""
        answer = self._checked(["exec-out", command])
        return answer.stdout if not answer.returncode else b""

    def push(self, path: Path, place: str) -> None:
        """Copy a file to the phone.

        Raises:
            ConnectionLostError: the phone went away.
            MachineError: no room, or no permission.
        """
        answer = self._checked(["push", str(path.resolve()), place])
        if answer.returncode:
            raise self._failed("push", answer)

    def pull(self, place: str, path: Path) -> bool:
        """Copy a file from the phone; false where there is none."""
        return not self._checked(["pull", place, str(path)]).returncode

    def install(self, apk: Path) -> None:
        """Install an app.

        Raises:
            InputError: no such file.
            MachineError: the phone refuses it.
        """
        if not apk.is_file():
            raise InputError(f"--apk {apk}: no such file; build it: see apps/android/README.md.")
        answer = self._checked(["install", "-r", "-t", str(apk.resolve())])
        if answer.returncode or b"Success" not in answer.stdout + answer.stderr:
            raise self._failed("install", answer)

    def start_shell(self, command: str) -> subprocess.Popen[bytes]:
        """A command line of ours whose standard input and output stay open."""
        return subprocess.Popen(
            [*self._words, "shell", "-T", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _checked(self, words: list[str]) -> subprocess.CompletedProcess[bytes]:
        answer = _call([*self._words, *words])
        said = answer.stderr.decode(errors="replace")
        if answer.returncode and any(sign in said for sign in _GONE) and "error:" in said:
            raise ConnectionLostError(f"adb:{self.phone.serial}: the phone went away ({_last_line(answer)}).")
        return answer

    def _failed(self, what: str, answer: subprocess.CompletedProcess[bytes]) -> MachineError:
        said = _last_line(answer)
        for sign, sentence in _COMPLAINTS.items():
            if sign in said:
                return MachineError(f"adb:{self.phone.serial}: {sentence}.")
        return MachineError(f"adb:{self.phone.serial}: {what} fails there ({said or answer.returncode}).")


_COMPLAINTS = {
    "No space left": "the phone is full; free some space on it, or take fewer photographs (--limit)",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "the phone has no room for the app; free some space on it",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the app has no code for this phone's processor; it needs arm64-v8a or x86_64",
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": (
        "an app of the same name, signed by somebody else, is installed; remove it: adb uninstall org.edgeeffnet.app"
    ),
    "INSTALL_FAILED_OLDER_SDK": "the phone's Android is too old for the app",
    "not debuggable": "the app there is a release build; install the debug one (apps/android/README.md)",
}
"""What Android says, and what that means."""


def _call(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except FileNotFoundError as error:
        raise MachineError(f"{words[0]}: no such program; {ADB_VARIABLE} names the adb to use.") from error
    except subprocess.TimeoutExpired as error:
        raise ConnectionLostError(f"adb: no answer in {_TIMEOUT_S:.0f} s.") from error


def _last_line(answer: subprocess.CompletedProcess[bytes]) -> str:
    text = (answer.stderr + b"\n" + answer.stdout).decode(errors="replace").strip()
    return (text.splitlines() or [""])[-1].strip()
