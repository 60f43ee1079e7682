"""Evaluation images that are copies of those that the program was fitted on, saved again."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quant.common.findings import Finding, finding
from quant.data.perceptual_hash import Calibrated, nearest
from quant.data.split import ImageRecord
from quant.thresholds import COPIES_SHARE


def find_leakage(images: Sequence[ImageRecord], hashes: torch.Tensor, calibrated: Calibrated) -> Finding | None:
    """Compare evaluation images with those that calibrated; None where no two are alike.

    Args:
        images: those that judge.
        hashes: their perceptual hashes, [n, 64].
        calibrated: the others.

    Returns:
        An error where there are enough of them to flatter the verdict, else a warning.
    """
    alike, which = nearest(hashes, calibrated.hashes)
    found = alike.nonzero().flatten().tolist()
    if not found:
        return None
    first = found[0]
    return finding(
        "leakage" if len(found) >= COPIES_SHARE * len(images) else "near-duplicates",
        f"calibration images: {len(found)} of the {len(images)} evaluation images look like ones that "
        f"the program was calibrated on, saved again (first: {images[first].name}, like "
        f"{calibrated.names[which[first]]}); judge on images it has not seen",
    )
