"""Whether Arm's tools are here: Vela, which compiles for Ethos-U, and the TOSA reference model. Imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

BACKEND = "EthosUBackend"
"""The name that executorch's runtime registers it under, on a device that has one."""

TRIED: Mapping[str, str] = {"ethos-u-vela": "5.1.0", "tosa-tools": "2026.5.0"}
"""The releases that executorch 1.4.1 pins, and that were tried with it."""

TARGETS: Mapping[str, int] = {
    f"{core}-{macs}": macs
    for core, sizes in (("u85", (256, 128, 512, 1024, 2048)), ("u65", (256, 512)), ("u55", (32, 64, 128, 256)))
    for macs in sizes
}
"""Products that each takes in a cycle; the default first."""

_COMMAND = (
    "python -m venv npu && npu/bin/pip install 'edge-effnet[ethos-u]' && npu/bin/quantize ..., an environment of its "
    "own, because they pin numpy, flatbuffers and others"
)


def missing() -> str | None:
    """Say what to install; None where nothing is missing."""
    for package, tried in TRIED.items():
        try:
            found = version(package)
        except PackageNotFoundError:
            return f"Vela and the TOSA reference model are needed, and {package} is not here: {_COMMAND}."
        if found != tried:
            return f"{package} {found} was not tried with executorch 1.4.1 (tried: {tried}): {_COMMAND}."
    return None
