"""What a user may say about how a device is reached."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

EMULATOR_VARIABLE = "EDGE_EFFNET_EMULATOR"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceOptions:
    """Settings of single transports; each reads its own."""

    threads: int = 1
    """Of the device's runtime."""
    emulator: Path | None = None
    """arm64: program that starts an aarch64 Python; None takes the environment's `EDGE_EFFNET_EMULATOR`."""
    ssh_config: Path | None = None
    """ssh: file for its -F: identity, port, jump host."""
    remote_python: str = "python3"
    """ssh: the interpreter there that has ExecuTorch."""
    apk: Path | None = None
    """adb: app to install first."""
    executor_runner: Path | None = None
    """adb: an `executor_runner` built for Android, to use instead of the app."""

    runtime: str | None = None
    """host, arm64: release of executorch to run instead of the installed one."""
    runtime_site: Path | None = None
    """Folder where that release lies; None of the installed one."""

    def emulator_path(self) -> Path | None:
        """The emulator given, else the environment's."""
        variable = os.environ.get(EMULATOR_VARIABLE)
        return self.emulator or (Path(variable) if variable else None)
