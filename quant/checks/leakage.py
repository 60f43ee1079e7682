"""Photographs that judge and are copies of those that the program was fitted on, saved anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quant.data.perceptual_hash import Calibrated, nearest
from quant.data.split import Photo
from quant.thresholds import COPIES_SHARE


@dataclass(frozen=True, kw_only=True, slots=True)
class Copies:
    """Photographs that look like ones that the program was calibrated on."""

    sentence: str
    share: float
    """Of the photographs that judge, 0..1."""

    @property
    def flatters(self) -> bool:
        """Whether there are enough of them to doubt the verdict, rather than to mention them."""
        return self.share >= COPIES_SHARE


def find_copies(photos: Sequence[Photo], thumbnails: torch.Tensor, calibrated: Calibrated) -> Copies | None:
    """Compare the photographs that judge with those that calibrated; None where no two are alike.

    Args:
        photos: that judge.
        thumbnails: theirs, [n, 64].
        calibrated: the others.
    """
    alike, which = nearest(thumbnails, calibrated.thumbnails)
    found = alike.nonzero().flatten().tolist()
    if not found:
        return None
    first = found[0]
    return Copies(
        sentence=(
            f"calibration photographs: {len(found)} of the {len(photos)} photographs that judge look like ones that "
            f"the program was calibrated on, saved anew (first: {photos[first].name}, like "
            f"{calibrated.names[which[first]]}); judge on photographs it has not seen"
        ),
        share=len(found) / len(photos),
    )
