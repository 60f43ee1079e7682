"""Images that judge and are copies of those that the program was fitted on, saved again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quant.data.perceptual_hash import Calibrated, nearest
from quant.data.split import ImageRecord
from quant.thresholds import COPIES_SHARE


@dataclass(frozen=True, kw_only=True, slots=True)
class Copies:
    """Images that look like ones that the program was calibrated on."""

    sentence: str
    share: float
    """Of the evaluation images, 0..1."""

    @property
    def flatters(self) -> bool:
        """Whether there are enough of them to doubt the verdict, rather than to mention them."""
        return self.share >= COPIES_SHARE


def find_copies(images: Sequence[ImageRecord], hashes: torch.Tensor, calibrated: Calibrated) -> Copies | None:
    """Compare the evaluation images with those that calibrated; None where no two are alike.

    Args:
        images: that judge.
        hashes: theirs, [n, 64].
        calibrated: the others.
    """
    alike, which = nearest(hashes, calibrated.hashes)
    found = alike.nonzero().flatten().tolist()
    if not found:
        return None
    first = found[0]
    return Copies(
        sentence=(
            f"calibration images: {len(found)} of the {len(images)} evaluation images look like ones that "
            f"the program was calibrated on, saved again (first: {images[first].name}, like "
            f"{calibrated.names[which[first]]}); judge on images it has not seen"
        ),
        share=len(found) / len(images),
    )
