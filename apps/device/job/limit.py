"""Fewer images for a slow device, and what that costs in certainty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from edge_effnet.errors import InputError
from quant.common.findings import Finding, finding
from quant.data.split import ImageRecord
from quant.metrics.metrics import wilson_interval

_USUAL_SHARE = 0.95
"""Where the interval's width is told before anything was measured."""


def limited(images: Sequence[ImageRecord], limit: int | None) -> Sequence[ImageRecord]:
    """Take at most so many images, in turn from each class and evenly spread within it.

    The same images come out whenever the same go in: an interrupted run finds its own again.

    Raises:
        InputError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: need at least 1 image.")
    if limit is None or limit >= len(images):
        return images
    classes: dict[int | None, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        classes[image.label].append(index)
    # Class after class gets one more, until there are `limit`.
    quota = dict.fromkeys(classes, 0)
    while sum(quota.values()) < limit:
        for label, indices in classes.items():
            if quota[label] < len(indices) and sum(quota.values()) < limit:
                quota[label] += 1
    chosen = sorted(
        indices[(2 * k + 1) * len(indices) // (2 * quota[label])]
        for label, indices in classes.items()
        for k in range(quota[label])
    )
    return [images[i] for i in chosen]


def limit_findings(taken: int, total: int) -> tuple[Finding, ...]:
    """Say what the limit costs; nothing where all were taken."""
    if taken == total:
        return ()
    narrow, wide = (_width(count) for count in (total, taken))
    message = (
        f"{taken} of {total} images (--limit): near 95 %, a share's 95 % interval is {wide:.1f} points wide "
        f"instead of {narrow:.1f}."
    )
    return (finding("images-fewer", message),)


def _width(count: int) -> float:
    low, high = wilson_interval(_USUAL_SHARE, count)
    return 100 * (high - low)
