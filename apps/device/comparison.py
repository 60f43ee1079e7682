"""`edge-effnet compare`: two results files of one program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from apps.device.job.results import Results, read_results, require_same_program
from apps.device.sameness import Sameness, compare_logits, faults, is_exact, repeatability
from edge_effnet.errors import InputError
from quant.artifact.open import open_artifact
from quant.metrics.tasks.classes import CLASSES


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A device against a reference."""

    reference: Results
    other: Results
    same: Sameness
    exact: bool
    """Whether equal bits were asked of it."""
    reasons: tuple[str, ...]
    """What is more than rounding; empty where nothing is."""
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether both computed the same."""
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "verdict": "pass" if self.passed else "fail",
            "reasons": list(self.reasons),
            **self.same.to_json(),
            "exact": self.exact,
            **{
                side: {
                    **results.values["device"],
                    "runtime": results.values["runtime"]["version"],
                    "threads": results.values["runtime"]["threads"],
                    "latency_p50_ms": round(results.latency_p50_ms, 4),
                    "latency_p90_ms": round(results.latency_p90_ms, 4),
                    "load_ms": round(results.load_ms, 4),
                    "peak_memory_bytes": results.values["peak_memory_bytes"],
                }
                for side, results in (("reference", self.reference), ("device", self.other))
            },
            "notes": list(self.notes),
        }


def compare(reference: str | Path, other: str | Path, *, artifact: str | Path | None = None) -> Comparison:
    """Compare two results files, image by image.

    Args:
        reference: of this host, say.
        other: of the device.
        artifact: the artifact folder: both have to be of its program and of its evaluation images, and where the
            program is all int8 the bits have to be equal.

    Raises:
        InputError: not results files, of different programs, of another program or other images than the
            artifact's, or with no image in common.
    """
    first, second = read_results(Path(reference)), read_results(Path(other))
    exact, task, made = False, CLASSES, None
    if artifact is not None:
        made = open_artifact(Path(artifact))
        for results in (first, second):
            require_same_program(results, made.manifest["files"]["model.pte"]["sha256"], made.folder)
            _require_evaluated(results, made.manifest["photographs"]["calibration"], made.folder)
        exact, task = is_exact(made), made.task
    require_same_program(second, first.values["program_sha256"], Path(reference))
    there = {sha256 for _, sha256 in second.images}
    shared = [sha256 for _, sha256 in first.images if sha256 in there]
    if not shared:
        raise InputError(f"{second.where}: none of its images are in {first.where}; run both on the same ones.")
    before, after = (_rows(results, shared) for results in (first, second))
    if before.shape != after.shape:
        raise InputError(
            f"{second.where}: {after.shape[1]} classes, {first.where} has {before.shape[1]}; run one program."
        )
    names = {sha256: name for name, sha256 in first.images}
    if made is not None and task is not CLASSES:
        before, after = (made.logits_of("pte", rows) for rows in (before, after))
    same = compare_logits(before, after, [names[key] for key in shared], task)
    return Comparison(
        reference=first,
        other=second,
        same=same,
        exact=exact,
        reasons=(*_unsteady(first, second), *faults(same, exact=exact, classes=task.exclusive)),
        notes=_notes(first, second, len(shared)),
    )


def _unsteady(*sides: Results) -> tuple[str, ...]:
    found = ((results.where, repeatability(results)) for results in sides)
    return tuple(f"{where}: {again.sentence}" for where, again in found if again is not None and again.varied)


def _rows(results: Results, shared: list[str]) -> torch.Tensor:
    row = {sha256: i for i, (_, sha256) in enumerate(results.images)}
    return results.logits[[row[key] for key in shared]]


def _require_evaluated(results: Results, fitted: list[dict[str, str]], folder: Path) -> None:
    seen = {image["sha256"] for image in fitted}
    for name, sha256 in results.images:
        if sha256 in seen:
            raise InputError(
                f"{results.where}: {name} is an image that {folder} was calibrated on; run it on others."
            )


def _notes(first: Results, second: Results, shared: int) -> tuple[str, ...]:
    return tuple(
        f"{results.where}: {len(results.images) - shared} images that the other one does not have."
        for results in (first, second)
        if len(results.images) > shared
    )
