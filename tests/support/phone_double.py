"""A double of an Android phone: a folder, a shell with the few commands that the transport needs, and switches.

No phone is behind it. What its commands print was written after Android's documentation and sources. The shell is
this machine's own, with nothing on its path but these commands: quoting, pipes and redirections are a real shell's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from apps.device.adb.app import android_app
from apps.device.local import runner_source
from tests.support import executor_runner_double, phone_app
from tests.support import zygote as zygote_module

TMP = "/data/local/tmp"
APP = android_app()

TOOLS = ("sh", "cat", "sha256sum", "rm", "rmdir", "mkdir", "mv", "chmod", "head")
"""As toybox has them."""

COMMANDS = {
    "getprop": 'cat "$STATE/prop-$1" 2>/dev/null || echo',
    "dumpsys": 'cat "$STATE/dumpsys-$1" 2>/dev/null || echo "Can\'t find service: $1"',
    "input": "",
    "run-as": """
        [ -e "$STATE/installed" ] || { echo "run-as: unknown package: $1" >&2; exit 1; }
        [ "$(cat "$STATE/installed")" = debug ] || { echo "run-as: package not debuggable: $1" >&2; exit 1; }
        cd "$HOME/data/data/$1" && shift && exec "$@"
    """,
    "pm": """
        case $1 in
            path) [ -e "$STATE/installed" ] && echo "package:/data/app/base.apk" ;;
            uninstall) rm -r "$STATE/installed" "$HOME/data/data/$2" && echo Success ;;
        esac
    """,
    "cmd": """
        for size; do :; done
        head -c "$size" > "$STATE/apk"
        case $(cat "$STATE/install") in
            Success) echo debug > "$STATE/installed"; mkdir -p "$HOME/data/data/$PACKAGE" ;;
        esac
        cat "$STATE/install"
    """,
    "am": """
        for job; do :; done
        case "$*" in
            "force-stop $PACKAGE") kill -9 $(cat "$STATE/pid") 2>/dev/null; rm -f "$STATE/pid" ;;
            "start -W $INTENT $job")
                kill -0 "$(cat "$STATE/pid" 2>/dev/null)" 2>/dev/null || $ZYGOTE spawn "$ZYGOTE_SOCKET" "$STATE/pid" \
                    "$APP" "$RUNNER" "$HOME/data/data/$PACKAGE/$JOBS/$job" "$STATE" < /dev/null > "$STATE/log" 2>&1
                echo "Status: ok" ;;
            *) echo "Error: Activity class does not exist." ;;
        esac
    """,
    "pidof": '[ -e "$STATE/pid" ] && kill -0 "$(cat "$STATE/pid")" 2>/dev/null && cat "$STATE/pid"',
}
"""Shell scripts by name: each knows what the transport asks of it and no more."""

PROPERTIES = {"ro.product.cpu.abi": "arm64-v8a", "ro.build.version.release": "14", "ro.soc.model": "Tensor G3"}

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4123
  temperature: {tenths}
  technology: Li-ion
"""

HEAT = """IsStatusOverride: false
ThermalEventListeners:
	callbacks: 1
Thermal Status: {status}
Cached temperatures:
	Temperature{{mValue=31.4, mType=3, mName=skin, mStatus={status}}}
HAL Ready: true
"""


@dataclass
class PhoneDouble:
    """One phone. Its switches are attributes and methods; everything else lies in `root`."""

    root: Path
    zygote: Path
    serial: str = "3A190DLJH000XK"
    model: str = "Pixel_8"
    state: str = "device"
    """As `adb devices` shows it."""
    full: str = ""
    """A push to a path with this in it ends with a full disk."""
    cut: list[str] = field(default_factory=list)
    """The next command or push with one of these in it loses its connection half way, once each."""
    spared: dict[str, int] = field(default_factory=dict)
    """How many commands with such a part come to their end before."""
    seen: list[str] = field(default_factory=list)
    """Command lines and pushed paths, as they came."""
    errors: list[str] = field(default_factory=list)
    """What commands wrote to standard error."""

    def __post_init__(self) -> None:
        self.tmp.mkdir(parents=True)
        self.switches.mkdir()
        bin_folder = self.root / "bin"
        bin_folder.mkdir()
        for name in TOOLS:
            (bin_folder / name).symlink_to(shutil.which(name) or "missing")
        for name, script in COMMANDS.items():
            (bin_folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (bin_folder / name).chmod(0o755)
        for name, value in PROPERTIES.items():
            self.set(f"prop-{name}", value)
        self.set("install", "Success")
        self.feel()
        self.install()

    @property
    def tmp(self) -> Path:
        return self.root / TMP[1:]

    @property
    def private(self) -> Path:
        """The app's folder."""
        return self.root / "data" / "data" / APP.package

    @property
    def switches(self) -> Path:
        return self.root / "state"

    @property
    def left_behind(self) -> list[str]:
        """What lies where the transport may write, folders too."""
        found = [*self.tmp.rglob("*"), *(self.private / APP.jobs_folder).rglob("*")]
        return sorted(str(path.relative_to(self.root)) for path in found)

    @property
    def forwards(self) -> int:
        """Images that the app has run."""
        path = self.switches / "forwards"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def set(self, name: str, content: str) -> None:
        (self.switches / name).write_text(content + "\n")

    def feel(self, *, level: int = 83, tenths: int = 291, status: int = 0) -> None:
        """Battery in percent and tenths of a degree, and Android's thermal status."""
        self.set("dumpsys-battery", BATTERY.format(level=level, tenths=tenths))
        self.set("dumpsys-thermalservice", HEAT.format(status=status))

    def install(self, build: str = "debug") -> None:
        """Have the app there."""
        self.set("installed", build)
        self.private.joinpath("files").mkdir(parents=True, exist_ok=True)

    def uninstall(self) -> None:
        (self.switches / "installed").unlink()
        shutil.rmtree(self.private)

    def at(self, image: int, event: str, *, away: int = -1) -> None:
        """Have something happen when the app comes to an image: see phone_app.py.

        Args:
            image: counted from 1, again in each start of the app.
            event: what.
            away: requests that find no phone before it is back; -1 for ever.
        """
        self.set("events.json", json.dumps({image: event}))
        self.set("away", str(away))

    def plug_in(self) -> None:
        """Be there again, and let nothing happen any more."""
        for name in ("unplugged", "events.json"):
            (self.switches / name).unlink(missing_ok=True)

    def refusal(self) -> str:
        """Why a request does not get through; empty where it does."""
        unplugged = self.switches / "unplugged"
        if unplugged.exists():
            left = int(unplugged.read_text())
            if left:
                unplugged.write_text(str(left - 1))
                return f"device '{self.serial}' not found"
            self.plug_in()
        return {"device": "", "unauthorized": "device unauthorized."}.get(self.state, f"device {self.state}")

    def cuts(self, command: str) -> bool:
        """Whether the connection breaks here."""
        for part in self.cut:
            if part in command:
                self.spared[part] = self.spared.get(part, 0) - 1
                if self.spared[part] < 0:
                    self.cut.remove(part)
                    return True
        return False

    def popen(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command line as the phone's shell does."""
        self.seen.append(command)
        environment = {
            "PATH": str(self.root / "bin"),
            "LC_ALL": "C",
            "HOME": str(self.root),
            "STATE": str(self.switches),
            "PACKAGE": APP.package,
            "JOBS": APP.jobs_folder,
            "INTENT": f"-n {APP.package}/{APP.activity} -a {APP.action} --es {APP.extras['job']}",
            "ZYGOTE": f"{sys.executable} -I -S {zygote_module.__file__}",
            "ZYGOTE_SOCKET": str(self.zygote),
            "APP": phone_app.__file__,
            "RUNNER": str(runner_source()),
        }
        return subprocess.Popen(
            [str(self.root / "bin" / "sh"), "-c", command.replace(TMP, str(self.tmp))],
            cwd=self.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def answered(self, command: str, error: str) -> None:
        """Note that a command came to its end."""
        self.errors += error.splitlines()
        if "partial.jsonl" in command:
            self.set("partial-read", "")

    def store(self, path: str, data: bytes, mode: int) -> str:
        """Keep a pushed file; why not, where that fails."""
        self.seen.append(path)
        if self.full and self.full in path:
            return "write failed: No space left on device"
        place = self.root / path.lstrip("/")
        if not place.is_relative_to(self.tmp):
            return "couldn't create file: Permission denied"
        place.write_bytes(data)
        place.chmod(mode & 0o777)
        return ""

    def executor_runner(self, folder: Path, *switches: str) -> Path:
        """Write a program for `--executor-runner`: the double, started by the zygote."""
        path = folder / "executor_runner"
        script = executor_runner_double.__file__
        words = f"{sys.executable} -I -S {zygote_module.__file__} run {self.zygote} {script} {' '.join(switches)}"
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        return path

    def close(self) -> None:
        """End the app."""
        pid = self.switches / "pid"
        if pid.exists():
            subprocess.run(["kill", "-9", pid.read_text()], stderr=subprocess.DEVNULL, check=False)
