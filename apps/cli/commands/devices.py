"""`edge-effnet devices`: parse, call, print, exit code."""

from __future__ import annotations

from dataclasses import asdict

from apps.cli import exit_codes
from apps.cli.help import AsJson, epilog
from apps.cli.options import Emulator

EPILOG = epilog(
    "edge-effnet devices",
    "edge-effnet devices --emulator ~/arm64/armpy --json",
)


def devices_command(
    emulator: Emulator = None,
    as_json: AsJson = False,
) -> int:
    """List the devices that `check --device` reaches from here."""
    from apps.cli.render.device import devices_table  # noqa: PLC0415
    from apps.cli.render.plain import write, write_json  # noqa: PLC0415
    from apps.device.listing import list_devices  # noqa: PLC0415
    from apps.device.remote import DeviceOptions  # noqa: PLC0415

    found = list_devices(DeviceOptions(emulator=emulator))
    if as_json:
        write_json({"devices": [asdict(device) for device in found]})
    else:
        write(devices_table(found))
    return exit_codes.PASS
