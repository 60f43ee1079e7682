"""How one run of a program compares with another run of the same program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from quant.artifact.model import Artifact
from quant.lower.table import BACKENDS
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
