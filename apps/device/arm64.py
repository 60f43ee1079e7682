"""`arm64:CPU`: the aarch64 runtime under qemu-user: a phone's kernels without a phone."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from apps.device.job import EMULATED
from apps.device.local import LocalRemote
from apps.device.options import EMULATOR_VARIABLE, DeviceOptions
from apps.device.remote import Remote
from edge_effnet.errors import InputError, MachineError

CPUS = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "cortex-a710", "neoverse-n1")
"""qemu's models of what phones and boards have. Its `max` has SME kernels that none of them has."""

DEFAULT_CPU = "cortex-a76"

_NAMES = ("armpy",)
"""What an emulator is called inside a folder that is given instead of it."""


def open_arm64(detail: str, options: DeviceOptions) -> Remote:
    """Return an emulated ARM processor.

    The emulator is a program that runs aarch64 Python: `CPU=cortex-a76 EMULATOR script.py ...`.

    Args:
        detail: the processor; empty for `DEFAULT_CPU`.
        options: where the emulator is.

    Raises:
        InputError: an unknown processor, or no emulator named.
        MachineError: no emulator there.
    """
    cpu = detail or DEFAULT_CPU
    if cpu not in CPUS:
        raise InputError(f"--device arm64:{cpu}: unknown processor; choose one of {', '.join(CPUS)}.")
    emulator = find_emulator(options)
    return LocalRemote(
        f"arm64:{cpu}",
        [str(emulator)],
        settings=replace(EMULATED, threads=options.threads),
        environment={"CPU": cpu},
        words=["arm64", cpu],
    )


def find_emulator(options: DeviceOptions) -> Path:
    """Return the emulator's program.

    Raises:
        InputError: none was named.
        MachineError: it is not there or cannot be executed.
    """
    given = options.emulator_path()
    if given is None:
        raise InputError(
            f"--device arm64: name the emulator with --emulator PATH or in {EMULATOR_VARIABLE}: a program that runs "
            "aarch64 Python with ExecuTorch; docs/device.md says how to make one."
        )
    path = next((given / name for name in _NAMES if (given / name).is_file()), given)
    if not path.is_file() or not os.access(path, os.X_OK):
        raise MachineError(f"{given}: no program to start there; --emulator takes the one that runs aarch64 Python.")
    return path.resolve()
