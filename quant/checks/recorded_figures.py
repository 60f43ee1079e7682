"""Are the programs those that `quantize` judged? Their figures are in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quant.common.findings import Finding, finding
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.thresholds import FLOAT_FALL_POINTS, REPEAT_IMAGES, REPEAT_SQNR_DB, ROUNDING_SQNR_DB, SHARE_ROUNDING


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What `quantize` found."""

    top1: float | None
    """Of the float network, or the figure of another task that stands for it; None without labels."""
    sqnr_db: float | None
    """Of the program against it; None where it was not measured."""
    images: int
    hashes: tuple[str, ...]
    """SHA-256 of those that it was found on, sorted; empty where it was on some of them only."""

    @classmethod
    def of(cls, manifest: Mapping[str, Any], key: str = "top1") -> Recorded | None:
        """Read it from a manifest, float's accuracy by its key; None where nothing was measured."""
        verdict = manifest["verdict"]
        images = verdict.get("images", {}).get("evaluation", 0)
        if images < 1:
            return None
        judged = sorted(image["sha256"] for image in manifest["photographs"]["evaluation"])
        return cls(
            top1=verdict["float"].get(key),
            sqnr_db=verdict["pte"].get("sqnr_db"),
            images=images,
            hashes=tuple(judged) if len(judged) == images else (),
        )

    def of_these(self, images: Sequence[ImageRecord]) -> bool:
        """Whether it was found on these very images."""
        return self.hashes == tuple(sorted(image.sha256 for image in images))


def other_program(recorded: Recorded, sqnr_db: float, images: Sequence[ImageRecord]) -> Finding | None:
    """Say how the program's noise now contradicts what was recorded on the same images; None where it does not."""
    if recorded.sqnr_db is None or not recorded.of_these(images):
        return None
    # Beyond this only the rounding of float32 is left, and that is the processor's.
    then, now = min(recorded.sqnr_db, ROUNDING_SQNR_DB), min(sqnr_db, ROUNDING_SQNR_DB)
    if abs(then - now) <= REPEAT_SQNR_DB:
        return None
    return finding(
        "program-changed",
        f"another program: its logits have {now:.1f} dB, and `quantize` recorded {then:.1f} dB on these very "
        "images: model.pte, float.pte or the manifest is not what it was",
    )


def other_float(
    recorded: Recorded, top1: float, images: Sequence[ImageRecord], figure: str = "top-1"
) -> Finding | None:
    """Say how the float network's top-1 now, or the `figure` for it, contradicts what was recorded; None if not."""
    if recorded.top1 is None:
        return None
    if recorded.of_these(images):
        where = "on these very images"
        same = abs(top1 - recorded.top1) <= max(REPEAT_IMAGES / recorded.images, 0.01) + SHARE_ROUNDING
    else:
        where = f"on {recorded.images} others"
        # R2 may be below 0.
        highest = metrics.wilson_interval(max(0.0, top1), len(images))[1]
        lowest = metrics.wilson_interval(max(0.0, recorded.top1), recorded.images)[0]
        same = highest >= lowest - FLOAT_FALL_POINTS / 100
    if same:
        return None
    now = f"{100 * top1:.{metrics.decimals(len(images))}f} %"
    then = f"{100 * recorded.top1:.{metrics.decimals(recorded.images)}f} %"
    return finding(
        "float-changed",
        f"float itself: its {figure} is {now}, and `quantize` recorded {then} "
        f"{where}: float.pte, the preprocessing, the labels or the images are not what they were",
    )
