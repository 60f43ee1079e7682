"""Histograms of activations, every element weighted by how much the logits move with it.

An activation holds up to a million numbers of each image, and neighbours hold much the same: some thousand of
them, evenly spread, tell as much about the whole and cost a fraction. Single-threaded NumPy counts them: at that
size it is faster than torch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import fx

from quant.graph.compute import PlainInterpreter
from quant.graph.finite import extremes, in_memory_order, require_usable
from quant.graph.gradients import Observer

BINS = 2048

# Of a channel, which has fewer values, and no more of them than its share of a step needs.
CHANNEL_BINS = 512

_ELEMENTS = 4096
"""Of one image of one activation; four times as many gave no better ranges (`docs/lab/pipeline.md`)."""

_FEW = 4
"""Values whose mean weight is trusted. Wider means blur the tails, where weights change fast: 64 cost B0 0.6 dB."""

_SILU_ARGMIN, _SILU_MIN = -1.2784645, -0.27846454
_FAR = 700.0
"""Beyond it exp overflows, and SiLU is 0."""

_CHANNEL_POSITIONS = 1024
"""The same where each channel has a histogram of its own."""


class _Sensitivities(Observer):
    """Shows a sample of each named node's output together with how much the logits move with it."""

    def __init__(self, module: fx.GraphModule, names: Collection[str], plain_share: float) -> None:
        super().__init__(module)
        self._names, self._plain_share = frozenset(names), plain_share
        self.energy: defaultdict[str, float] = defaultdict(float)
        """How much the logits move with each activation: squared gradients, summed over elements and images."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        result = super().run_node(n)
        if n.name in self._names:
            turn = self.turn
            output = result.detach()
            bins = self.bins_of(n.name, output, self._sample(output, turn))
            if not result.requires_grad:
                self.count(n.name, bins)
            else:
                result.register_hook(
                    lambda gradient, name=n.name: self._weigh(
                        name, bins, self._sample(gradient, turn), gradient.numel()
                    )
                )
        return result

    def bins_of(self, name: str, output: torch.Tensor, sample: np.ndarray) -> np.ndarray:
        """Look at a named node's output, and at its sample, [n, positions, C]; return the bin of each of these."""
        raise NotImplementedError

    def count(self, name: str, bins: np.ndarray) -> None:
        """Take what lies in these bins, of images that are only run forward."""

    def positions(self, channels: int) -> int:
        """How many positions of an activation of so many channels make a sample."""
        raise NotImplementedError

    def size_of(self, name: str) -> int:  # noqa: ARG002
        """How many bins a node has."""
        return BINS

    def add(self, name: str, counts: np.ndarray, weights: np.ndarray) -> None:
        """Take by bin how many values lie in it, and the sum of their weights, which are 1 in the mean."""
        raise NotImplementedError

    def _sample(self, x: torch.Tensor, turn: int) -> np.ndarray:
        """[N, C, ...] -> [N, positions, C], other ones each turn: channels last, as they lie in memory."""
        n, channels = x.shape[:2]
        flat = x.numpy().reshape(n, channels, -1)
        count = flat.shape[2]
        step = max(1, count // self.positions(channels))
        # A step that shares a factor with the width would see the same few columns in every row.
        while math.gcd(step, x.shape[-1]) > 1:
            step += 1
        return np.ascontiguousarray(flat[:, :, turn % min(step, count) :: step].transpose(0, 2, 1))

    def _weigh(self, name: str, bins: np.ndarray, gradient: np.ndarray, elements: int) -> None:
        size = self.size_of(name)
        counts, squares = _counted(bins, size), _counted(bins, size, np.square(gradient))
        mean = float(squares.sum()) / bins.size
        self.energy[name] += elements * mean
        self.add(name, counts, squares * ((1.0 - self._plain_share) / max(mean, 1e-30)) + self._plain_share * counts)


class WeightedHistograms(_Sensitivities):
    """One histogram of each named node's output: what all images hold, with the weights that some give it."""

    def __init__(self, module: fx.GraphModule, names: Collection[str], plain_share: float) -> None:
        super().__init__(module, names, plain_share)
        self.seen: dict[str, tuple[float, float]] = {}
        """Smallest and largest value so far."""
        self._latest: dict[str, tuple[float, float]] = {}
        """The same of the batch that runs."""
        self._silu_inputs = {
            product.name: x.name for product, x in self.sources.items() if {product.name, x.name} <= self._names
        }
        self._covered: dict[str, tuple[float, float]] = {}
        """What the bins span."""
        self._rows: dict[str, np.ndarray] = {}
        """By bin: values without a weight, values with one, and the sum of these weights."""

    def histogram(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Centres of the bins and their weights, float64 [bins]."""
        self._cover(name)
        counted, weighed, weights = self._rows[name]
        histogram = (counted + weighed) * _means_nearby(weights, weighed)
        return torch.from_numpy(bin_centres(self._covered[name])), torch.from_numpy(histogram)

    def bins_of(self, name: str, output: torch.Tensor, sample: np.ndarray) -> np.ndarray:
        """Let the range seen grow to this output's."""
        source = self._silu_inputs.get(name)
        low, high = extremes(output) if source is None else _silu_extremes(*self._latest[source])
        require_usable(name, low, high)
        self._latest[name] = low, high
        before = self.seen.get(name, (low, high))
        self.seen[name] = (min(low, before[0]), max(high, before[1]))
        self._cover(name)
        return _bins(sample, self._covered[name])

    def positions(self, channels: int) -> int:
        """As many as make up the sample."""
        return max(1, _ELEMENTS // channels)

    def take(self, other: WeightedHistograms) -> None:
        """Add what others of the images hold."""
        for name, (low, high) in other.seen.items():
            before = self.seen.get(name, (low, high))
            self.seen[name] = other.seen[name] = (min(low, before[0]), max(high, before[1]))
            self._cover(name)
            other._cover(name)
            self._rows[name] += other._rows[name]
            self.energy[name] += other.energy[name]

    def add(self, name: str, counts: np.ndarray, weights: np.ndarray) -> None:
        """Count them, and sum their weights."""
        self._rows[name][1:] += counts, weights

    def count(self, name: str, bins: np.ndarray) -> None:
        """Count them."""
        self._rows[name][0] += _counted(bins, BINS)

    def _cover(self, name: str) -> None:
        """Let the bins span all that was seen; where they have to grow, what they hold goes to the nearest ones."""
        seen, covered = self.seen[name], self._covered.get(name)
        if seen == covered:
            return
        self._covered[name] = seen
        if covered is None:
            self._rows[name] = np.zeros((3, BINS))
        else:
            bins = _bins(bin_centres(covered), seen)
            self._rows[name] = np.stack([np.bincount(bins, row, BINS) for row in self._rows[name]])


class ChannelHistograms(_Sensitivities):
    """A histogram of magnitudes of each channel of each named node's output, [n, C, H, W]."""

    def __init__(self, module: fx.GraphModule, peaks: dict[str, torch.Tensor], plain_share: float) -> None:
        """Count up to `peaks`, the largest magnitude of each channel, [C]."""
        super().__init__(module, peaks, plain_share)
        self.peaks = {name: peak.clamp_min(1e-6) for name, peak in peaks.items()}
        self._weights = {name: np.zeros(len(peak) * CHANNEL_BINS) for name, peak in peaks.items()}

    def histograms(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Centres of the bins and their weights, float64 [C, bins]."""
        centres = self.peaks[name].double()[:, None] * torch.from_numpy(bin_centres((0.0, 1.0), CHANNEL_BINS))
        return centres, torch.from_numpy(self._weights[name]).view(-1, CHANNEL_BINS)

    def bins_of(self, name: str, output: torch.Tensor, sample: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """A channel's bins lie behind those of the channels before it."""
        peaks = self.peaks[name].numpy()
        steps = np.abs(sample)
        steps *= CHANNEL_BINS / peaks
        bins: np.ndarray = np.minimum(steps.astype(np.int32), CHANNEL_BINS - 1)
        bins += CHANNEL_BINS * np.arange(len(peaks), dtype=np.int32)
        return bins.ravel()

    def positions(self, channels: int) -> int:  # noqa: ARG002  (each channel needs its own)
        """The same for all."""
        return _CHANNEL_POSITIONS

    def size_of(self, name: str) -> int:
        """All channels' bins together."""
        return len(self._weights[name])

    def take(self, other: ChannelHistograms) -> None:
        """Add what others of the images hold."""
        for name, weights in other._weights.items():
            self._weights[name] += weights
            self.energy[name] += other.energy[name]

    def add(self, name: str, counts: np.ndarray, weights: np.ndarray) -> None:  # noqa: ARG002
        """Sum the weights."""
        self._weights[name] += weights


class ChannelExtremes(PlainInterpreter):
    """Largest magnitude of each channel of each named node's output, [n, C, H, W]."""

    def __init__(self, module: fx.GraphModule, names: Collection[str]) -> None:
        super().__init__(module)
        self._names = frozenset(names)
        self.found: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        result = super().run_node(n)
        if n.name in self._names:
            # NumPy: in a third of torch's time where channels lie last.
            rows = in_memory_order(result).reshape(-1, result.shape[1]).numpy()
            peak = torch.from_numpy(np.maximum(rows.max(axis=0), -rows.min(axis=0)))
            require_usable(n.name, -peak.max().item(), peak.max().item())
            self.found[n.name] = torch.maximum(peak, self.found.get(n.name, peak))
        return result


def _silu_extremes(low: float, high: float) -> tuple[float, float]:
    """Smallest and largest value of SiLU over [low, high]: it falls to its minimum and rises from there."""
    ends = [x / (1.0 + math.exp(-x)) if x > -_FAR else 0.0 for x in (low, high)]
    return _SILU_MIN if low < _SILU_ARGMIN < high else min(ends), max(ends)


def bin_centres(span: tuple[float, float], bins: int = BINS) -> np.ndarray:
    """Middle of each bin, float64 [bins]."""
    low, high = span
    return low + max(high - low, 1e-12) / bins * (np.arange(bins) + 0.5)


def _bins(values: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Bin of each value, flat; the largest one, and what rounding puts past it, belong to the last."""
    low, high = span
    steps = (values - low).ravel()
    steps *= BINS / max(high - low, 1e-12)
    return np.minimum(steps, BINS - 1, out=steps).astype(np.int32)


def _counted(bins: np.ndarray, size: int, weights: np.ndarray | None = None) -> np.ndarray:
    """How many values lie in each bin, or the sum of their weights, [size]; by torch, which lets Python go on."""
    of = None if weights is None else torch.from_numpy(weights.ravel()).double()
    counts: np.ndarray = torch.bincount(torch.from_numpy(bins), of, size).numpy()
    return counts


def _means_nearby(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean of each bin; of one that holds fewer than `_FEW` values, with so many bins around it as hold that many."""
    summed, counted = (np.concatenate([[0.0], row.cumsum()]) for row in (sums, counts))
    bins, radius = np.arange(BINS), np.zeros(BINS, dtype=np.intp)
    few = min(_FEW, counted[-1])
    while True:
        low, high = np.maximum(bins - radius, 0), np.minimum(bins + radius + 1, BINS)
        lacking = counted[high] - counted[low] < few
        if not lacking.any():
            break
        radius[lacking] = 2 * radius[lacking] + 1
    means: np.ndarray = (summed[high] - summed[low]) / np.maximum(counted[high] - counted[low], 1.0)
    return means
