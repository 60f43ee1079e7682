"""Which reading of a weight file is right, where names leave it open: its origin, and averaged or last weights.

The padding and BatchNorm's eps of another origin change what reaches the later layers, and their BatchNorms remember
what did in training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from edge_effnet.errors import InputError
from edge_effnet.images import quiet_pillow
from edge_effnet.weights import Checkpoint
from quant.common.findings import Finding, finding
from quant.common.subsample import subsample
from quant.data.batches import iterate_batches
from quant.data.calibration_check import norm_misfit, preferred
from quant.data.split import ImageRecord
from quant.metrics import metrics
from quant.thresholds import KNOWN_MISFIT, ORIGIN_CERTAINTY, ORIGIN_IMAGES, ORIGIN_RATIO, PROBE_RANK_CERTAINTY


def settle_origin(first: Checkpoint, second: Checkpoint, images: Sequence[ImageRecord]) -> tuple[Checkpoint, Finding]:
    """Choose between the same weights read as one origin's and as another's.

    Returns:
        The one whose BatchNorms know `ORIGIN_IMAGES` of the calibration images better, and a note with the figures.

    Raises:
        InputError: neither is clearly better; an image that cannot be read.
    """
    paths = [images[row].path for row in subsample(len(images), ORIGIN_IMAGES)]
    # An origin's mean and std, too, may be others than the weights saw: they are not what this is about.
    with quiet_pillow():
        inputs = [list(iterate_batches(paths, seen)) for seen in dict.fromkeys((first.preprocess, second.preprocess))]
    misfits = [
        min((norm_misfit(checkpoint.model, batches) for batches in inputs), key=lambda misfit: float(misfit.sum()))
        for checkpoint in (first, second)
    ]
    ratio, certainty = preferred(*misfits)
    shown = " and ".join(
        f"{float(misfit.mean()):.3f} as {checkpoint.origin}"
        for misfit, checkpoint in zip(misfits, (first, second), strict=True)
    )
    clear = abs(certainty) >= ORIGIN_CERTAINTY and max(ratio, 1 / ratio) >= ORIGIN_RATIO
    if not clear or min(float(misfit.mean()) for misfit in misfits) > KNOWN_MISFIT:
        raise InputError(
            f"the weights may be {first.origin}'s or {second.origin}'s, whose padding and BatchNorm eps differ: "
            f"neither names nor BatchNorm's statistics on {len(paths)} images tell (misfit {shown}); say "
            "--origin timm for weights trained in timm, --origin timm-tf for its tf_ models."
        )
    better = second if ratio > 1 else first
    return better, finding(
        "weights",
        f"Names leave open whether the weights are {first.origin}'s or {second.origin}'s; BatchNorm's statistics on "
        f"{len(paths)} images fit {better.origin} better (misfit {shown}), which was taken; --origin names another.",
    )


def check_averaged(averaged: Checkpoint, last: Checkpoint, images: Sequence[ImageRecord]) -> Finding | None:
    """Warn where the last step's is right on more of `ORIGIN_IMAGES` labelled calibration images, beyond chance."""
    labelled = [image for image in images if image.label is not None]
    chosen = [labelled[row] for row in subsample(len(labelled), ORIGIN_IMAGES)]
    if len({image.label for image in chosen}) < 2:
        return None
    labels = torch.tensor([image.label for image in chosen])

    def right_by(checkpoint: Checkpoint) -> torch.Tensor:
        batches = iterate_batches([image.path for image in chosen], checkpoint.preprocess)
        with quiet_pillow(), torch.no_grad():
            return torch.cat([checkpoint.model(x) for x in batches]).argmax(dim=1) == labels

    right, other = right_by(averaged), right_by(last)
    won, lost = int((other & ~right).sum()), int((right & ~other).sum())
    if metrics.sign_test(won, lost) > PROBE_RANK_CERTAINTY:
        return None
    return finding(
        "averaged-weights",
        f"averaged weights: they are right on {int(right.sum())} of {len(chosen)} calibration images, the last "
        f"step's on {int(other.sum())}",
    )
