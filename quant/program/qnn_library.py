"""Where Qualcomm's QNN libraries are: an SDK of the user's, or the extra's wheel. Looks only; imports nothing.

Nothing is downloaded: executorch's own package for QNN, which starts a download where it finds no SDK, is imported in
a child process alone, and only once there are libraries (`quant.lower.qnn.child`).
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VARIABLE = "QNN_SDK_ROOT"
"""What Qualcomm's SDK is found by, and what executorch's package for QNN asks for."""

BACKEND = "QnnBackend"
"""The name that executorch's runtime registers it under."""

HOST = Path("lib") / "x86_64-linux-clang"
"""Where an SDK keeps its libraries for this kind of host."""

LICENCE = (
    "Qualcomm's libraries come under the Qualcomm AI Stack License: for developing your own applications, given on "
    "only as part of one, not to be taken apart."
)
"""Said of every program that they made."""

_COMMAND = "pip install 'edge-effnet[qnn]'"
_WHEEL = "onnxruntime-qnn"

WHEELS: Mapping[str, str] = {"2.47": "2.3.0", "2.48": "2.4.0", "2.51": "2.7.0"}
"""The wheels that were tried with executorch 1.4.1, by the release of QNN in them (docs/npu.md says how it went).
Their device config may be rewritten (`quant.program.qnn_device`). Others have to take it as executorch writes it, and
are refused if they do not."""


def wheel_of(libraries: str) -> str | None:
    """The wheel with libraries of this version, such as "2.51.0.260929181845"; None of one that nobody tried."""
    return WHEELS.get(".".join(libraries.split(".")[:2]))


def missing() -> str | None:
    """Say what to install; None where nothing is missing."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return (
            "Qualcomm's compiler and emulated HTP run on x86-64 Linux only: make and evaluate these programs there."
        )
    root = os.environ.get(VARIABLE)
    if folder() is None:
        if not root:
            return f"no QNN libraries here: {_COMMAND}, or point {VARIABLE} to a Qualcomm AI Engine Direct SDK."
        return (
            f"{VARIABLE} is {root}, and no libQnnHtp.so lies in {HOST} there: point it to an unpacked Qualcomm AI "
            f"Engine Direct SDK, or unset it and {_COMMAND}."
        )
    if importlib.util.find_spec("cpuinfo") is None:
        return f"executorch's part for QNN needs py-cpuinfo: {_COMMAND}, then repeat the command."
    # An SDK's version is known once its libraries are loaded; so is that of a wheel unpacked by hand.
    found = None if root else _wheel_version()
    if found is None or found in WHEELS.values():
        return None
    return f"{_WHEEL} {found} was not tried with executorch 1.4.1 (tried: {', '.join(WHEELS.values())}): {_COMMAND}."


def _wheel_version() -> str | None:
    try:
        return version(_WHEEL)
    except PackageNotFoundError:
        return None


def folder() -> Path | None:
    """Folder of the libraries: the SDK's where the environment names one, else the wheel's."""
    root = os.environ.get(VARIABLE)
    if root:
        found = Path(root) / HOST
    else:
        spec = importlib.util.find_spec("onnxruntime_qnn")
        if spec is None or spec.origin is None:
            return None
        found = Path(spec.origin).parent
    return found if (found / "libQnnHtp.so").is_file() and (found / "libQnnSystem.so").is_file() else None
