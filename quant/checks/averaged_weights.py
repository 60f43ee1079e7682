"""Whether a file's averaged copy of the weights is worth taking: averages that began late can be far behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from edge_effnet.images import quiet_pillow
from edge_effnet.weights import Checkpoint
from quant.common.findings import Finding, finding
from quant.common.subsample import subsample
from quant.data.batches import iterate_batches
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.thresholds import ORIGIN_IMAGES, PROBE_RANK_CERTAINTY


def check_averaged(averaged: Checkpoint, last: Checkpoint, images: Sequence[ImageRecord]) -> Finding | None:
    """Compare both copies on labelled calibration images.

    Args:
        averaged: the copy that was taken.
        last: the last step's.
        images: calibration images; up to `ORIGIN_IMAGES` of those with a label are looked at.

    Returns:
        A warning where the last step's is right on more, beyond chance; None without labels.
    """
    labelled = [image for image in images if image.label is not None]
    chosen = [labelled[row] for row in subsample(len(labelled), ORIGIN_IMAGES)]
    if len({image.label for image in chosen}) < 2:
        return None
    labels = torch.tensor([image.label for image in chosen])
    right, other = (_right(checkpoint, [image.path for image in chosen], labels) for checkpoint in (averaged, last))
    won, lost = int((other & ~right).sum()), int((right & ~other).sum())
    if metrics.sign_test(won, lost) > PROBE_RANK_CERTAINTY:
        return None
    return finding(
        "averaged-weights",
        f"averaged weights: they are right on {int(right.sum())} of {len(chosen)} calibration images, the last "
        f"step's on {int(other.sum())}",
    )


def _right(checkpoint: Checkpoint, paths: Sequence[Path], labels: torch.Tensor) -> torch.Tensor:
    with quiet_pillow(), torch.no_grad():
        outputs = [checkpoint.model(x) for x in iterate_batches(paths, checkpoint.preprocess)]
    return torch.cat(outputs).argmax(dim=1) == labels
