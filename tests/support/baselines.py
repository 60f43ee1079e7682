"""Baselines of programs that never were."""

from __future__ import annotations

from collections.abc import Sequence

from quant.data.split import ImageRecord
from quant.metrics.evaluate import Accuracy
from quant.verdict.baseline import Baseline, digest_of
from tests.support.outcomes import images

IMAGES = images(250)
PROGRAM = "ab" * 32


def accuracy(top1: float) -> Accuracy:
    """Of a network of so many right answers, whatever else."""
    return Accuracy(top1=top1, top5=1.0, top1_interval=(0.0, 1.0))


def baseline_of(
    images: Sequence[ImageRecord] = IMAGES,
    *,
    top1: float | None = 0.952,
    agreement: float = 0.972,
    sqnr_db: float = 20.0,
) -> Baseline:
    """Figures that 250 images can give."""
    return Baseline(
        digest=digest_of(images), images=len(images), top1=top1, agreement=agreement, sqnr_db=sqnr_db, program=PROGRAM
    )
