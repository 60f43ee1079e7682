"""`host`: this machine's own runtime, in a child process."""

from __future__ import annotations

import sys

from apps.device.job import Settings
from apps.device.local import LocalRemote
from apps.device.options import DeviceOptions
from apps.device.remote import Remote
from edge_effnet.errors import InputError


def open_host(detail: str, options: DeviceOptions) -> Remote:
    """Return this machine as a device.

    Raises:
        InputError: anything behind the name.
    """
    if detail:
        raise InputError(f"--device host:{detail}: this machine has no other name; write --device host.")
    # -P: a torch.py in the job's folder is none of the runner's modules.
    return LocalRemote("host", [sys.executable, "-P"], settings=Settings(threads=options.threads), words=["host"])
