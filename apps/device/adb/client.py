"""Commands and files to one Android phone, through adb; its complaints as sentences."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from apps.device.adb.phones import Phone, call_adb, complaint, find_adb
from apps.device.remote import Answer, ConnectionLostError, last_line
from edge_effnet.errors import MachineError
from quant.thresholds import PHONE_MIN_BATTERY_PERCENT

SCRATCH = "/data/local/tmp"
"""Where adb may write; the app may not."""

_COMPLAINTS = {
    "No space left": "the phone is full; free some space on it, or take fewer images (--limit)",
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "the phone has no room for the app; free some space on it",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the app has no code for this phone's processor; it needs arm64-v8a or x86_64",
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": (
        "an app of the same name, signed by somebody else, is installed; remove it: adb uninstall org.edgeeffnet.app"
    ),
    "INSTALL_FAILED_VERSION_DOWNGRADE": (
        "a newer version of the app is installed; leave out --apk, or remove it: adb uninstall org.edgeeffnet.app"
    ),
    "INSTALL_FAILED_USER_RESTRICTED": "the phone asks whether apps may be installed over USB; allow it there",
    "INSTALL_FAILED_OLDER_SDK": "the phone's Android is too old for the app",
    "not debuggable": "the app there is a release build; install the debug one (apps/android/README.md)",
    "only supports allocating a pty": "its Android is older than 7, which is too old",
}
"""What Android and adb say, and what that means."""

# adb ends with 0 when the phone goes away in the middle of a command: only this line says that it came to its end.
_SAY_END = "echo edge-effnet-exit:$?"
_ENDED = re.compile(rb"edge-effnet-exit:(\d{1,3})\n\Z")


class AdbClient:
    """Commands to one phone. Every method raises `ConnectionLostError` where the phone goes away."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._words = [find_adb(), "-s", phone.serial]

    def shell(self, command: str, *, check: bool = True) -> str:
        """Run a command line on the phone, fixed words and a job's id only: a shell there reads it. Its output.

        Raises:
            MachineError: the command failed, where `check` asks for that.
        """
        answer = self._run(command)
        if check and answer.code:
            raise self._failed(command.split(maxsplit=1)[0], answer.error or f"exit code {answer.code}")
        return answer.text

    def read(self, command: str) -> bytes | None:
        """Standard output of a command, byte for byte and whole; None where the command failed."""
        answer = self._run(command)
        return None if answer.code else answer.output

    def push(self, path: Path, place: str) -> None:
        """Copy a file to the phone.

        Raises:
            MachineError: no room, or no permission.
        """
        answer = call_adb([*self._words, "push", str(path.resolve()), place])
        if answer.returncode:
            said = complaint(answer)
            # adb quotes the phone's own refusal so; whatever else it says, the phone said nothing.
            raise self._failed("push", said) if ": remote " in said else self._lost(answer)

    def install(self, apk: Path) -> None:
        """Install an app, or another version of it.

        Raises:
            MachineError: the phone refuses it.
        """
        answer = call_adb([*self._words, "install", "-r", "-t", str(apk.resolve())])
        said = (answer.stdout + answer.stderr).decode(errors="replace")
        if answer.returncode or "Success" not in said:
            refusal = next((line.strip() for line in said.splitlines() if re.search(r"Failure|INSTALL_", line)), "")
            raise self._failed("install", refusal) if refusal else self._lost(answer)

    def _run(self, command: str) -> Answer:
        # -T: no terminal, which would change bytes on their way.
        done = call_adb([*self._words, "shell", "-T", f"{command}; {_SAY_END}"])
        end = _ENDED.search(done.stdout)
        if end is None:
            raise self._lost(done)
        return Answer(int(end[1]), done.stdout[: end.start()], last_line(done.stderr.decode(errors="replace")))

    def _lost(self, answer: subprocess.CompletedProcess[bytes]) -> MachineError:
        said = complaint(answer) if answer.returncode else "in the middle of a command"
        if any(sign in said for sign in _COMPLAINTS):
            return self._failed("adb", said)
        return ConnectionLostError(f"adb:{self.phone.serial}: the phone went away ({said.rstrip('.')}).")

    def _failed(self, what: str, said: str) -> MachineError:
        for sign, sentence in _COMPLAINTS.items():
            if sign in said:
                return MachineError(f"adb:{self.phone.serial}: {sentence}.")
        return MachineError(f"adb:{self.phone.serial}: {what} fails there ({said.rstrip('.')}).")


_THROTTLING = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Words for Android's thermal statuses 0 to 6, as its own `THERMAL_STATUS_...` has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneState:
    """Battery and heat; None where the phone does not say."""

    battery_percent: int | None
    battery_c: float | None
    """Temperature of the battery, degrees Celsius."""
    throttling: str | None
    """Android's word, from `none` to `shutdown`."""

    def notes(self) -> list[str]:
        """Sentences on what makes times longer than they need to be; none where nothing does."""
        found = []
        if self.battery_percent is not None and self.battery_percent < PHONE_MIN_BATTERY_PERCENT:
            found.append(
                f"The phone's battery is at {self.battery_percent} %: below {PHONE_MIN_BATTERY_PERCENT} % it saves "
                "power, and times may be too long; charge it and repeat."
            )
        if self.throttling not in (None, "none"):
            warm = "" if self.battery_c is None else f", its battery has {self.battery_c:.0f} degrees Celsius"
            found.append(
                f"The phone throttles ({self.throttling}{warm}): times may be too long; let it cool down and repeat."
            )
        return found


def read_state(client: AdbClient) -> PhoneState:
    """Ask the phone.

    Raises:
        ConnectionLostError: it went away.
    """
    battery = client.shell("dumpsys battery", check=False)
    heat = _number(r"Thermal Status: (\d+)", client.shell("dumpsys thermalservice", check=False))
    tenths = _number(r"temperature: (-?\d+)", battery)
    return PhoneState(
        battery_percent=_number(r"level: (\d+)", battery),
        battery_c=None if tenths is None else tenths / 10,
        throttling=_THROTTLING[heat] if heat is not None and heat < len(_THROTTLING) else None,
    )


def _number(pattern: str, text: str) -> int | None:
    match = re.search(rf"^\s*{pattern}\s*$", text, re.MULTILINE)
    return int(match[1]) if match is not None else None
