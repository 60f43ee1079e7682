"""Baselines of programs that never were."""

from __future__ import annotations

from collections.abc import Sequence

from quant.data.split import Photo
from quant.verdict.baseline import Baseline, digest_of
from tests.support.outcomes import photos

PHOTOS = photos(250)
PROGRAM = "ab" * 32


def baseline_of(
    photographs: Sequence[Photo] = PHOTOS,
    *,
    top1: float | None = 0.952,
    agreement: float = 0.972,
    sqnr_db: float = 20.0,
) -> Baseline:
    """Figures that 250 photographs can give."""
    return Baseline(
        photographs=digest_of(photographs),
        images=len(photographs),
        top1=top1,
        agreement=agreement,
        sqnr_db=sqnr_db,
        program=PROGRAM,
    )
