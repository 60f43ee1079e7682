"""The devices by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apps.device.adb.app import open_adb
from apps.device.job.results import Results, read_results
from apps.device.local import open_arm64, open_host
from apps.device.remote import DeviceOptions, Remote
from apps.device.ssh import open_ssh
from edge_effnet.errors import InputError

TRANSPORTS: dict[str, Callable[[str, DeviceOptions], Remote]] = {
    "host": open_host,
    "arm64": open_arm64,
    "ssh": open_ssh,
    "adb": open_adb,
}
"""Opens a device by what stands behind the colon."""

IOS = "ios"
"""The one that is read from a file."""

FORMS = "host, arm64[:CPU], ssh:USER@HOST[:PORT], adb[:SERIAL], ios:FILE"


def split_device(device: str) -> tuple[str, str]:
    """Split `ssh:pi@board` into transport and detail.

    Raises:
        InputError: an unknown transport.
    """
    name, _, detail = device.partition(":")
    if name not in (*TRANSPORTS, IOS):
        raise InputError(f"--device {device}: unknown device; choose one of {FORMS}.")
    return name, detail


def read_exported(detail: str) -> Results:
    """Read the file that the iOS app shared.

    Raises:
        InputError: no file named, not a results file, or one of an unfinished run.
    """
    if not detail:
        raise InputError(
            "--device ios: an iPhone cannot be reached from here; run the job in the app of apps/ios, share its "
            "results and name the file: --device ios:FILE."
        )
    results = read_results(Path(detail))
    if not results.values["complete"]:
        done = len(results.values["photographs"])
        raise InputError(f"{detail}: exported after {done} images, before the run was complete; let it finish.")
    return results
