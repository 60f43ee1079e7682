"""Where OpenVINO's C library is: ExecuTorch's backend loads it by path. Looks only; imports nothing of it."""

from __future__ import annotations

import importlib.util
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VARIABLE = "OPENVINO_LIB_PATH"

# ExecuTorch 1.4.1 asks for these: its backend crashes on the first forward with 2026.4's C library.
_OLDEST, _BEYOND = (2025, 1), (2026, 0)
_COMMAND = "pip install 'edge-effnet[openvino]'"


def missing() -> str | None:
    """Say what to install; None where nothing is missing."""
    if importlib.util.find_spec("openvino") is None:
        return f"OpenVINO is not installed: {_COMMAND}, then repeat the command."
    try:
        found = version("openvino")
    except PackageNotFoundError:
        return None  # built by hand: its maker knows the version
    if not _OLDEST <= tuple(int(part) for part in found.split(".")[:2]) < _BEYOND:
        return f"ExecuTorch 1.4.1 works with OpenVINO 2025.1 to 2025.4, {found} is installed: {_COMMAND}."
    return None


def library() -> Path | None:
    """Path of the C library inside the installed package."""
    spec = importlib.util.find_spec("openvino")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("libs/libopenvino_c.so*"))), None)


def announce() -> None:
    """Set the environment variable that ExecuTorch's backend reads, unless the user has."""
    path = library()
    if path is not None:
        os.environ.setdefault(VARIABLE, str(path))
