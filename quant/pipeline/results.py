"""The rows of a run over several backends, their order, and the one JSON object that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quant.common.findings import Finding, Severity, messages
from quant.lower.delegation import DelegationReport
from quant.metrics.evaluate import Fidelity
from quant.verdict.outcome import Outcome, fidelity_json

MEASURED, NOT_HERE, MISSING, FAILED = "measured", "not measured here", "missing", "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramRow:
    """One program of a run, or why there is none."""

    name: str
    """Folder of its artifact, `<backend>-<precision>`."""
    backend: str
    precision: str
    devices: str
    status: str
    """`MEASURED`, `NOT_HERE`, `MISSING` or `FAILED`."""
    reason: str
    """Why it was not measured, what is missing or what failed; empty where measured."""
    size_bytes: int | None = None
    report: DelegationReport | None = None
    outcome: Outcome | None = None
    """Of a measured program."""
    simulated: Fidelity | None = None
    """Of the q/dq graph that an unmeasured int8 program was made from, against float."""
    simulated_images: int | None = None
    """That it is of."""
    bundle: str | None = None
    """Whether its .bpte was verified here, or written only."""
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is known against it."""
        return self.status != FAILED and (self.outcome is None or self.outcome.passed)

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        report = self.report
        as_they_are = ("name", "backend", "precision", "devices", "status", "reason", "size_bytes")
        return {
            **{name: getattr(self, name) for name in as_they_are},
            "delegation": None if report is None else report.to_json(),
            "simulated": None if self.simulated is None else fidelity_json(self.simulated),
            "bundle": self.bundle,
            "warnings": list(self.warnings),
            "outcome": None if self.outcome is None else self.outcome.to_json(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """Everything that a run over several backends found out."""

    folder: str
    variant: str
    recipe: str
    rows: tuple[ProgramRow, ...]
    """In their rank."""
    findings: tuple[Finding, ...]
    """About the weights and the images, whatever the program."""
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every program was made that could be, and every one that was measured holds."""
        return all(row.passed for row in self.rows)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences of the findings that fail no verdict."""
        return messages(self.findings, Severity.WARNING, Severity.NOTE)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What the passes are to be taken with caution for, each once."""
        said = (caution for row in self.rows if row.outcome for caution in row.outcome.verdict.cautions)
        return tuple(dict.fromkeys(said))

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints and fleet.json keeps."""
        return {
            "verdict": "pass" if self.passed else "fail",
            "folder": self.folder,
            "variant": self.variant,
            "recipe": self.recipe,
            "programs": [row.to_json() for row in self.rows],
            "notes": list(self.notes),
            "findings": [found.to_json() for found in self.findings],
            "seconds": self.seconds,
        }


def ranked(rows: Sequence[ProgramRow]) -> tuple[ProgramRow, ...]:
    """Order rows: measured first, those that hold first, then whole delegates, small files, high agreement."""

    def rank(row: ProgramRow) -> tuple[float, ...]:
        left = len(row.report.leftovers) if row.report else 0
        agreement = row.outcome.pte.agreement if row.outcome else 0.0
        group = (MEASURED, NOT_HERE, MISSING, FAILED).index(row.status)
        return (group, not row.passed, left, row.size_bytes or 0, -agreement)

    return tuple(sorted(rows, key=rank))
