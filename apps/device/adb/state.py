"""What an Android phone says of its battery and its heat, and what that means for measured times."""

from __future__ import annotations

import re
from dataclasses import dataclass

from apps.device.adb.client import AdbClient
from quant.thresholds import PHONE_MIN_BATTERY_PERCENT

_THROTTLING = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Words for Android's thermal statuses 0 to 6, as its own `THERMAL_STATUS_...` has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneState:
    """Battery and heat; None where the phone does not say."""

    battery_percent: int | None
    battery_c: float | None
    """Temperature of the battery, degrees Celsius."""
    throttling: str | None
    """Android's word, from `none` to `shutdown`."""

    def notes(self) -> list[str]:
        """Sentences on what makes times longer than they need to be; none where nothing does."""
        found = []
        if self.battery_percent is not None and self.battery_percent < PHONE_MIN_BATTERY_PERCENT:
            found.append(
                f"The phone's battery is at {self.battery_percent} %: below {PHONE_MIN_BATTERY_PERCENT} % it saves "
                "power, and times may be too long; charge it and repeat."
            )
        if self.throttling not in (None, "none"):
            warm = "" if self.battery_c is None else f", its battery has {self.battery_c:.0f} degrees Celsius"
            found.append(
                f"The phone throttles ({self.throttling}{warm}): times may be too long; let it cool down and repeat."
            )
        return found


def read_state(client: AdbClient) -> PhoneState:
    """Ask the phone.

    Raises:
        ConnectionLostError: it went away.
    """
    battery = client.shell("dumpsys battery", check=False)
    heat = _number(r"Thermal Status: (\d+)", client.shell("dumpsys thermalservice", check=False))
    tenths = _number(r"temperature: (-?\d+)", battery)
    return PhoneState(
        battery_percent=_number(r"level: (\d+)", battery),
        battery_c=None if tenths is None else tenths / 10,
        throttling=_THROTTLING[heat] if heat is not None and heat < len(_THROTTLING) else None,
    )


def _number(pattern: str, text: str) -> int | None:
    match = re.search(rf"^\s*{pattern}\s*$", text, re.MULTILINE)
    return int(match[1]) if match is not None else None
