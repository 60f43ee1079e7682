"""How one run of a program compares with another of it: on two machines (`edge-effnet compare`), or again on one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from apps.device.job.results import Results, read_results, require_same_program
from edge_effnet.errors import InputError
from quant.artifact.model import Artifact
from quant.artifact.open import open_artifact
from quant.lower.table import BACKENDS
from quant.metrics import metrics
from quant.metrics.tasks.classes import CLASSES
from quant.metrics.tasks.task import Task
from quant.thresholds import DEVICE_MIN_AGREEMENT, DEVICE_MIN_SQNR_DB, SHARE_ROUNDING


@dataclass(frozen=True, kw_only=True, slots=True)
class Sameness:
    """Two sets of logits of the same images."""

    images: int
    identical: int
    """Images whose logits are equal to the bit."""
    agreement: float
    """Share of images with the same class, or another task's answer."""
    sqnr_db: float
    flips: tuple[str, ...]
    """Names of the images whose answer differs."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"flips": list(self.flips), "sqnr_db": round(self.sqnr_db, 4)}


def compare_logits(reference: torch.Tensor, other: torch.Tensor, names: list[str], task: Task = CLASSES) -> Sameness:
    """Compare `other` with `reference`, both float32 [images, outputs] as the task's `view` gives them."""
    # Bit patterns: -0.0 is not 0.0 here.
    same = (reference.contiguous().view(torch.int32) == other.contiguous().view(torch.int32)).all(dim=1)
    differs = (~task.kept(reference, other)).nonzero().flatten().tolist()
    close = task.fidelity(reference, other)
    return Sameness(
        images=len(names),
        identical=int(same.sum().item()),
        agreement=close.agreement,
        sqnr_db=close.sqnr_db,
        flips=tuple(names[i] for i in differs),
    )


def is_exact(artifact: Artifact) -> bool:
    """Whether the program gives the same bits on every processor: int8 from first to last layer, where that does."""
    backend = BACKENDS.get(artifact.manifest["backend"])
    if backend is None or not backend.precisions[artifact.manifest.get("precision", backend.default)].exact:
        return False
    layers = artifact.layers() if "layers.json" in artifact.manifest["files"] else []
    return bool(layers) and all(layer.precision == "int8" for layer in layers)


def faults(same: Sameness, *, exact: bool, classes: bool = True) -> tuple[str, ...]:
    """Sentences on what is more than rounding; none where the runs are the same.

    Without `classes` the outputs alone are compared: a set of labels or a nearest image changes by next to nothing.
    """
    if exact:
        if same.identical == same.images:
            return ()
        return (
            f"the device computes something else: its logits differ for {same.images - same.identical} of "
            f"{same.images} images, and an all-int8 program gives the same bits everywhere",
        )
    found = []
    if classes and same.agreement < DEVICE_MIN_AGREEMENT - SHARE_ROUNDING:
        found.append(
            f"the device gives {len(same.flips)} of {same.images} images another class than this host, "
            f"more than rounding does ({100 * DEVICE_MIN_AGREEMENT:.0f} % have to stay)"
        )
    if same.sqnr_db < DEVICE_MIN_SQNR_DB:
        found.append(
            f"the device's logits are {same.sqnr_db:.1f} dB from this host's, more than rounding does "
            f"({DEVICE_MIN_SQNR_DB:.0f} dB wanted)"
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeatability:
    """What running images again gave."""

    images: int
    reruns: int
    """Of all of them together, the first runs not counted."""
    varied: tuple[str, ...]
    """Names of the images that got other bits on some rerun."""
    sqnr_db: float | None
    """Of the worst rerun against the first run; None where all bits were the same, or not finite."""

    @property
    def sentence(self) -> str:
        """What differed."""
        apart = "" if self.sqnr_db is None else f", {self.sqnr_db:.1f} dB from the first at worst"
        return (
            f"the device does not repeat itself: {len(self.varied)} of {self.images} images that ran again got other "
            f"bits ({self.reruns} reruns{apart}; first: {self.varied[0]})"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"varied": list(self.varied)}


def repeatability(results: Results) -> Repeatability | None:
    """Compare reruns with first runs, bit by bit; None where nothing ran again."""
    if not results.reruns:
        return None
    varied: dict[str, float] = {}
    for sha256, logits in results.reruns:
        first = results.logits[results.row[sha256]]
        if not torch.equal(first.view(torch.int32), logits.view(torch.int32)):
            name = results.images[results.row[sha256]][0]
            varied[name] = min(varied.get(name, math.inf), metrics.sqnr_db(first, logits))
    worst = min(varied.values(), default=math.inf)
    return Repeatability(
        images=len({sha256 for sha256, _ in results.reruns}),
        reruns=len(results.reruns),
        varied=tuple(varied),
        sqnr_db=round(worst, 4) if math.isfinite(worst) else None,
    )


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
            "reference": self.reference.to_json(),
            "device": self.other.to_json(),
            "notes": list(self.notes),
        }


def compare(reference: str | Path, other: str | Path, *, artifact: str | Path | None = None) -> Comparison:
    """Compare two results files, image by image.

    With an artifact's folder both have to be of its program and of its evaluation images, and where the program is
    all int8 the bits have to be equal.

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
            _require_evaluated(results, made)
        exact, task = is_exact(made), made.task
    require_same_program(second, first.values["program_sha256"], Path(reference))
    shared = [(name, sha256) for name, sha256 in first.images if sha256 in second.row]
    if not shared:
        raise InputError(f"{second.where}: none of its images are in {first.where}; run both on the same ones.")
    before, after = (side.logits[[side.row[sha256] for _, sha256 in shared]] for side in (first, second))
    if before.shape != after.shape:
        raise InputError(
            f"{second.where}: {after.shape[1]} classes, {first.where} has {before.shape[1]}; run one program."
        )
    if made is not None and task is not CLASSES:
        before, after = (made.logits_of("pte", rows) for rows in (before, after))
    same = compare_logits(before, after, [name for name, _ in shared], task)
    again = ((results.where, repeatability(results)) for results in (first, second))
    unsteady = (f"{where}: {found.sentence}" for where, found in again if found is not None and found.varied)
    return Comparison(
        reference=first,
        other=second,
        same=same,
        exact=exact,
        reasons=(*unsteady, *faults(same, exact=exact, classes=task.exclusive)),
        notes=_notes(first, second, len(shared)),
    )


def _require_evaluated(results: Results, made: Artifact) -> None:
    fitted = {image["sha256"] for image in made.manifest["photographs"]["calibration"]}
    for name, sha256 in results.images:
        if sha256 in fitted:
            raise InputError(
                f"{results.where}: {name} is an image that {made.folder} was calibrated on; run it on others."
            )


def _notes(first: Results, second: Results, shared: int) -> tuple[str, ...]:
    return tuple(
        f"{results.where}: {len(results.images) - shared} images that the other one does not have."
        for results in (first, second)
        if len(results.images) > shared
    )
