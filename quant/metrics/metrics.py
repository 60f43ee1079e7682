"""Accuracy figures: pure functions of logits and labels."""

from __future__ import annotations

import math
from statistics import NormalDist

import torch

from quant.thresholds import SHARE_ROUNDING

CONFIDENCE = 0.95
"""Of intervals, unless another is asked for."""

_EXACT_RANKS = 50


def decimals(images: int | None) -> int:
    """Of a percentage over so many images: one of 1,000 is 0.1 points. Two where the images are not known."""
    return 1 if images is not None and images <= 1000 else 2


def telling_decimals(value: float, limit: float, images: int | None, *, least: bool = False) -> int:
    """`decimals`, or as many more as show the limit whole, and on which side of it a figure of so many images is.

    Both in percent or points; the limit is the most that is allowed, or with `least` the least.
    """
    sign = -1.0 if least else 1.0

    def missed(figure: float) -> bool:
        return sign * (figure - limit) > SHARE_ROUNDING

    def shows(digits: int) -> bool:
        return abs(round(limit, digits) - limit) < SHARE_ROUNDING and missed(round(value, digits)) == missed(value)

    return next(filter(shows, range(decimals(images), 4)), 4)


def topk_accuracy(logits: torch.Tensor, labels: torch.Tensor, k: int) -> float:
    """Share of images whose label, int64 [N], is among the `k` (or all) largest logits, [N, classes]."""
    # int8 logits have ties, which `topk` and `argmax` break each in its own way: one answer an image, everywhere.
    best = logits.argmax(dim=1, keepdim=True) if k == 1 else logits.topk(min(k, logits.shape[1]), dim=1).indices
    return (best == labels[:, None]).any(dim=1).double().mean().item()


def agreement(reference: torch.Tensor, other: torch.Tensor) -> float:
    """Share of images that both sets of logits [N, classes] put into the same class."""
    return same_class(reference, other).double().mean().item()


def same_class(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Which images both sets of logits [N, classes] put into the same class, bool [N]."""
    return reference.argmax(dim=1) == other.argmax(dim=1)


def sqnr_db(reference: torch.Tensor, other: torch.Tensor) -> float:
    """Signal-to-quantization-noise ratio of `other` against `reference`, dB, over all elements.

    10 log10(sum(reference^2) / sum((reference - other)^2)); infinite for equal tensors.
    """
    signal = reference.double().square().sum().item()
    noise = (reference.double() - other.double()).square().sum().item()
    if noise == 0.0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0.0 else -math.inf


def flips(reference: torch.Tensor, other: torch.Tensor) -> list[int]:
    """Rows whose class differs between the two sets of logits [N, classes]."""
    return (~same_class(reference, other)).nonzero().flatten().tolist()


def wilson_interval(share: float, count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Confidence interval of a share seen on `count` images (Wilson 1927)."""
    if count == 0:
        return (0.0, 1.0)
    z = normal_quantile(confidence)
    z2 = z**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return (max(0.0, centre - half), min(1.0, centre + half))


def lost_and_won(reference: torch.Tensor, other: torch.Tensor, labels: torch.Tensor) -> tuple[int, int]:
    """Images that `reference` alone gets right, and `other` alone; logits [N, classes], labels int64 [N]."""
    right, still = reference.argmax(dim=1) == labels, other.argmax(dim=1) == labels
    return int((right & ~still).sum()), int((~right & still).sum())


def paired_drop_interval(
    reference: torch.Tensor, other: torch.Tensor, labels: torch.Tensor, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Two-sided confidence interval of the top-1 lost from `reference` to `other` on the same images.

    Logits are [N, classes], labels int64 [N].
    """
    lost, won = lost_and_won(reference, other, labels)
    return adjusted_interval(lost - won, lost + won + 1.0, len(labels), confidence)


def adjusted_interval(total: float, squares: float, images: int, confidence: float) -> tuple[float, float]:
    """Two-sided confidence interval, within -1..1, of what is lost on average: adjusted Wald, for paired shares.

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched proportions" (2005), who add
    half an image to either side: few images prove little even where nothing changed.

    Args:
        total: what all images lose.
        squares: of what each loses, summed up, with half an image for each side that there is.
        images: how many, without those that are added.
        confidence: such as 0.95.
    """
    count = images + 2
    half = normal_quantile(confidence) * math.sqrt(max(0.0, squares - total**2 / count)) / count
    return max(-1.0, total / count - half), min(1.0, total / count + half)


def normal_quantile(confidence: float) -> float:
    """Half-width of a two-sided normal interval, in standard deviations."""
    return NormalDist().inv_cdf((1.0 + confidence) / 2.0)


def sign_test(wins: int, losses: int) -> float:
    """Chance of at least `wins` wins among `wins + losses` fair coin flips (one-sided sign test)."""
    count = wins + losses
    return float(sum(math.comb(count, k) for k in range(wins, count + 1)) / 2**count)


def signed_rank_test(gains: torch.Tensor) -> float:
    """Chance that `gains` [N], paired differences that are as often losses, look as good; zeros count for nothing.

    One-sided Wilcoxon signed-rank test.

    Source: Wilcoxon, "Individual comparisons by ranking methods" (1945); exact up to 50 gains, normal beyond.
    """
    found = gains[gains != 0]
    count = len(found)
    if count == 0:
        return 1.0
    ranks = found.abs().argsort().argsort() + 1
    won = int(ranks[found > 0].sum())
    if count <= _EXACT_RANKS:
        # Subsets of 1..count by their sum: how many of the 2^count ways to win have at least this sum.
        ways = [1] + [0] * (count * (count + 1) // 2)
        for rank in range(1, count + 1):
            for total in range(len(ways) - 1, rank - 1, -1):
                ways[total] += ways[total - rank]
        return float(sum(ways[won:]) / 2**count)
    mean, variance = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1) / 24
    return 1.0 - NormalDist().cdf((won - 0.5 - mean) / math.sqrt(variance))
