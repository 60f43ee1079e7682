"""What a check on a device found out, and `check --runtime`: the same under another release of executorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.device.job.results import Results
from apps.device.sameness import Repeatability, Sameness
from quant.verdict.outcome import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeOutcome:
    """What another release makes of a program."""

    artifact: str
    release: str
    made_by: str
    """The release that made the program."""
    device: DeviceOutcome | None
    """The verdict under it; None where it refuses the program."""
    because: str
    """Why it refuses; empty where it does not."""

    @property
    def passed(self) -> bool:
        """Whether the release runs the program, and the verdict is a pass."""
        return self.device is not None and self.device.passed

    def answer(self) -> tuple[str, str]:
        """What the release makes of the program, in a word and as a sentence with figures."""
        same = None if self.device is None else self.device.same
        if same is None:
            return "refuses", f"refuses, because {self.because}"
        if same.identical == same.images:
            return "same-bits", "same bits"
        apart = f"SQNR {same.sqnr_db:.1f} dB"
        if not same.flips:
            return "same-classes", f"same classes, {apart}"
        return "other-classes", f"another class for {len(same.flips)} of {same.images} images, {apart}"

    @property
    def sentence(self) -> str:
        """The answer with its figures."""
        return self.answer()[1]

    def to_json(self) -> dict[str, Any]:
        """What `check --device --json` prints, where there is such, and `runtime`."""
        answer, sentence = self.answer()
        said = {"release": self.release, "made_by": self.made_by, "answer": answer, "sentence": sentence}
        if self.device is not None:
            return {**self.device.to_json(), "runtime": said}
        return {"verdict": "fail", "reasons": [self.sentence], "artifact": self.artifact, "runtime": said}


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
            **self.results.to_json(),
            "job": values["job"],
            "forwards": len(values["latency"]["times_ms"]),
            "pauses": values["latency"]["pauses"],
            "temperature_c": {"before": thermal["before_c"], "after": thermal["after_c"]},
            "thermal_status": thermal["status"],
            "exact": self.exact,
            "repeated": None if self.repeated is None else self.repeated.to_json(),
            "host": None if self.same is None else self.same.to_json(),
        }
        return {**self.outcome.to_json(), "device": device}
