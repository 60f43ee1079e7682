"""Can this phone run the job at all: its processor and its room."""

from __future__ import annotations

import re

from apps.device.adb_client import AdbClient
from apps.device.job import Job
from edge_effnet.errors import MachineError

ABIS = ("arm64-v8a", "x86_64")
"""Processors that ExecuTorch's library for Android has code for."""

SCRATCH = "/data/local/tmp"
"""Where adb may write; the app may not."""


def require_abi(client: AdbClient) -> None:
    """Refuse a phone whose processor the runtime has no code for.

    Raises:
        MachineError: it is another.
    """
    abi = client.shell("getprop ro.product.cpu.abi").strip()
    if abi not in ABIS:
        raise MachineError(
            f"adb:{client.phone.serial}: its processor is {abi or 'unknown'}; ExecuTorch has code for "
            f"{' and '.join(ABIS)} only."
        )


def require_room(client: AdbClient, job: Job) -> None:
    """Refuse a phone without room for the job, twice: passed on and taken over.

    Raises:
        MachineError: it has less.
    """
    match = re.search(r"^\S+\s+\d+\s+\d+\s+(\d+)\s", client.shell(f"df -k {SCRATCH}", check=False), re.MULTILINE)
    if match is not None and 1024 * int(match[1]) < 2 * job.bytes:
        raise MachineError(
            f"adb:{client.phone.serial}: {int(match[1]) / 1e3:.0f} MB free there, {2 * job.bytes / 1e6:.0f} MB "
            "needed; free some, or take fewer photographs (--limit)."
        )
