"""What a check on a device found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.device.job.results import Results
from apps.device.sameness import Repeatability, Sameness
from quant.verdict.outcome import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceOutcome:
    """The verdict on a device, and how it compares with this host."""

    outcome: Outcome
    """Its `pte` figures are the device's; `float`'s are this host's."""
    results: Results
    same: Sameness | None
    """The device's logits against this host's of the same program; None where this host does not run it."""
    exact: bool
    """Whether the program ought to give the same bits everywhere."""
    repeated: Repeatability | None
    """What images that ran again gave; None where the device ran none again."""

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.outcome.passed

    def to_json(self) -> dict[str, Any]:
        """The object that `check --device --json` prints: that of `check`, and `device`."""
        values = self.results.values
        thermal = values["thermal"] or {"before_c": None, "after_c": None, "status": None}
        device = {
            **values["device"],
            "runtime": values["runtime"]["version"],
            "threads": values["runtime"]["threads"],
            "job": values["job"],
            "latency_p50_ms": round(self.results.latency_p50_ms, 4),
            "latency_p90_ms": round(self.results.latency_p90_ms, 4),
            "forwards": len(values["latency"]["times_ms"]),
            "pauses": values["latency"]["pauses"],
            "load_ms": round(self.results.load_ms, 4),
            "peak_memory_bytes": values["peak_memory_bytes"],
            "temperature_c": {"before": thermal["before_c"], "after": thermal["after_c"]},
            "thermal_status": thermal["status"],
            "exact": self.exact,
            "repeated": None if self.repeated is None else self.repeated.to_json(),
            "host": None if self.same is None else self.same.to_json(),
        }
        return {**self.outcome.to_json(), "device": device}
