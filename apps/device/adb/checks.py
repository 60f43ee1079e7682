"""What is looked at before a phone is given work: the files for it, its processor, its room."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from apps.device.adb.client import AdbClient
from edge_effnet.errors import InputError, MachineError

ABIS = ("arm64-v8a", "x86_64")
"""Processors that ExecuTorch's library for Android has code for."""

SCRATCH = "/data/local/tmp"
"""Where adb may write; the app may not."""


def require_apk(path: Path) -> None:
    """Refuse what adb would not install.

    Raises:
        InputError: no such file, or another ending.
    """
    if not path.is_file():
        raise InputError(f"--apk {path}: no such file; build it: see apps/android/README.md.")
    if path.suffix != ".apk":
        raise InputError(f"--apk {path}: not an Android app; need a file that ends in .apk.")


def require_runner(path: Path) -> None:
    """Refuse an executor_runner that is no file.

    Raises:
        InputError: it is not there.
    """
    if not path.is_file():
        raise InputError(
            f"--executor-runner {path}: no such file; build ExecuTorch's executor_runner as docs/device.md says."
        )


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


def require_room(client: AdbClient, sizes: Sequence[int]) -> None:
    """Refuse a phone without room for files that are yet to be sent, the largest twice: each is passed on.

    Args:
        client: the phone.
        sizes: bytes of each file.

    Raises:
        MachineError: it has less.
    """
    needed = sum(sizes) + max(sizes, default=0)
    match = re.search(r"^\S+\s+\d+\s+\d+\s+(\d+)\s", client.shell(f"df -k {SCRATCH}", check=False), re.MULTILINE)
    if match is not None and 1024 * int(match[1]) < needed:
        raise MachineError(
            f"adb:{client.phone.serial}: {1024 * int(match[1]) / 1e6:.1f} MB free there, {needed / 1e6:.1f} MB "
            "needed; free some, or take fewer images (--limit)."
        )
