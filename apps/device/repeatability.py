"""Whether a device gives the same bits for the same image again: drivers that do not are broken (Adreno's, say)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from apps.device.job.results import Results
from quant.common.findings import Finding, finding
from quant.metrics import metrics


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
    row = {sha256: index for index, (_, sha256) in enumerate(results.images)}
    varied: dict[str, float] = {}
    for sha256, logits in results.reruns:
        first = results.logits[row[sha256]]
        if not torch.equal(first.view(torch.int32), logits.view(torch.int32)):
            name = results.images[row[sha256]][0]
            varied[name] = min(varied.get(name, math.inf), metrics.sqnr_db(first, logits))
    worst = min(varied.values(), default=math.inf)
    return Repeatability(
        images=len({sha256 for sha256, _ in results.reruns}),
        reruns=len(results.reruns),
        varied=tuple(varied),
        sqnr_db=round(worst, 4) if math.isfinite(worst) else None,
    )


def repeat_findings(found: Repeatability | None) -> tuple[Finding, ...]:
    """Fail a device whose bits vary; nothing where they do not."""
    if found is None or not found.varied:
        return ()
    return (finding("device-varies", found.sentence, items=found.varied),)
