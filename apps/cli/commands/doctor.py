"""`edge-effnet doctor`: parse, call, print, exit code."""

from __future__ import annotations

from dataclasses import asdict

from apps.cli import exit_codes
from apps.cli.help import AsJson, epilog

EPILOG = epilog(
    "edge-effnet doctor",
    "edge-effnet doctor --json",
)


def doctor_command(
    as_json: AsJson = False,
) -> int:
    """Show what is installed, what is missing and how to get it."""
    from apps.cli.render.doctor import doctor_table  # noqa: PLC0415
    from apps.cli.render.plain import write, write_json  # noqa: PLC0415
    from apps.doctor import examine, is_sound  # noqa: PLC0415

    findings = examine()
    sound = is_sound(findings)
    if as_json:
        write_json({"sound": sound, "findings": [asdict(one) for one in findings]})
    else:
        write(doctor_table(findings))
    return exit_codes.PASS if sound else exit_codes.MACHINE
