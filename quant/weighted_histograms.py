"""Histograms of activations, every element weighted by how much the logits move with it.

An activation holds up to a million numbers of each photograph, and neighbours hold much the same: some thousand of
them, evenly spread, tell as much about the whole and cost a fraction. Single-threaded NumPy counts them: at that
size it is faster than torch, and sums in one order on any number of threads.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import fx

from quant.silu_at_once import SiluAtOnce

BINS = 2048

_ELEMENTS = 4096
"""Of one photograph of one activation; 16 times as many gave no better ranges (`docs/pipeline.md`)."""

_CHANNEL_POSITIONS = 4096
"""The same where each channel has a histogram of its own."""


class _Sensitivities(SiluAtOnce):
    """Shows a sample of each named node's output together with how much the logits move with it."""

    def __init__(self, module: fx.GraphModule, names: Collection[str], plain_share: float) -> None:
        super().__init__(module)
        self._names, self._plain_share = frozenset(names), plain_share
        self._turn = 0
        self.energy: defaultdict[str, float] = defaultdict(float)
        """How much the logits move with each activation: squared gradients, summed over elements and photographs."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph on a batch (fx's protocol)."""
        self._turn += 1
        return super().run(*args, **kwargs)

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        result = super().run_node(n)
        if n.name in self._names:
            self.look(n.name, result)
            if result.requires_grad:
                turn, elements = self._turn, result.numel()
                values = self._sample(result.detach(), turn)
                result.register_hook(
                    lambda gradient, name=n.name: self._weigh(name, values, self._sample(gradient, turn), elements)
                )
        return result

    def look(self, name: str, output: torch.Tensor) -> None:
        """See a named node's whole output, before its gradient."""

    def positions(self, channels: int) -> int:
        """How many positions of an activation of so many channels to look at."""
        raise NotImplementedError

    def add(self, name: str, values: np.ndarray, weights: np.ndarray) -> None:
        """Take a sample of an activation and its weights, of mean 1, both [n, C, positions]."""
        raise NotImplementedError

    def _sample(self, x: torch.Tensor, turn: int) -> np.ndarray:
        """[N, C, ...] -> [N, C, positions], other ones each turn."""
        flat = x.flatten(2) if x.dim() > 2 else x[:, :, None]
        step = max(1, flat.shape[2] // self.positions(flat.shape[1]))
        # A step that shares a factor with the width would see the same few columns in every row.
        while math.gcd(step, x.shape[-1]) > 1:
            step += 1
        return np.ascontiguousarray(flat[:, :, turn % min(step, flat.shape[2]) :: step].numpy())

    def _weigh(self, name: str, values: np.ndarray, gradient: np.ndarray, elements: int) -> None:
        squares = np.square(gradient)
        mean = float(squares.mean(dtype=np.float64))
        self.energy[name] += elements * mean
        squares *= (1.0 - self._plain_share) / max(mean, 1e-30)
        squares += self._plain_share
        self.add(name, values, squares)


class WeightedHistograms(_Sensitivities):
    """One histogram of each named node's output."""

    def __init__(self, module: fx.GraphModule, names: Collection[str], plain_share: float) -> None:
        super().__init__(module, names, plain_share)
        self.seen: dict[str, tuple[float, float]] = {}
        """Smallest and largest value so far."""
        self._covered: dict[str, tuple[float, float]] = {}
        """What the bins span."""
        self._weights: dict[str, np.ndarray] = {}

    def look(self, name: str, output: torch.Tensor) -> None:
        """Let the range seen grow to this output's."""
        low, high = _extremes(output.detach())
        before = self.seen.get(name, (low, high))
        self.seen[name] = (min(low, before[0]), max(high, before[1]))

    def histogram(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Centres of the bins and their weights, float64 [bins]."""
        self._cover(name)
        return torch.from_numpy(_centres(self._covered[name])), torch.from_numpy(self._weights[name])

    def positions(self, channels: int) -> int:
        """As many as make up the sample."""
        return max(1, _ELEMENTS // channels)

    def add(self, name: str, values: np.ndarray, weights: np.ndarray) -> None:
        """Count values by their weights."""
        self._cover(name)
        self._weights[name] += _bincount(values, weights, self._covered[name])

    def _cover(self, name: str) -> None:
        """Let the bins span all that was seen; where they have to grow, what they hold goes to the nearest ones."""
        seen, covered = self.seen[name], self._covered.get(name)
        if seen == covered:
            return
        self._covered[name] = seen
        if covered is None:
            self._weights[name] = np.zeros(BINS)
        else:
            self._weights[name] = _bincount(_centres(covered), self._weights[name], seen)


class ChannelHistograms(_Sensitivities):
    """A histogram of magnitudes of each channel of each named node's output, [n, C, H, W]."""

    def __init__(self, module: fx.GraphModule, peaks: dict[str, torch.Tensor], plain_share: float) -> None:
        """Count up to `peaks`, the largest magnitude of each channel, [C]."""
        super().__init__(module, peaks, plain_share)
        self.peaks = {name: peak.clamp_min(1e-6) for name, peak in peaks.items()}
        self._weights = {name: np.zeros(len(peak) * BINS) for name, peak in peaks.items()}

    def histograms(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Centres of the bins and their weights, float64 [C, bins]."""
        centres = self.peaks[name].double()[:, None] * torch.from_numpy(_centres((0.0, 1.0)))
        return centres, torch.from_numpy(self._weights[name]).view(-1, BINS)

    def positions(self, channels: int) -> int:  # noqa: ARG002  (each channel needs its own)
        """The same for all."""
        return _CHANNEL_POSITIONS

    def add(self, name: str, values: np.ndarray, weights: np.ndarray) -> None:
        """Count magnitudes by their weights."""
        peaks = self.peaks[name].numpy()[:, None]
        bins = np.minimum((np.abs(values) * (BINS / peaks)).astype(np.intp), BINS - 1)
        bins += BINS * np.arange(len(peaks))[:, None]
        self._weights[name] += np.bincount(bins.ravel(), weights.ravel(), len(peaks) * BINS)


class ChannelExtremes(fx.Interpreter):
    """Largest magnitude of each channel of each named node's output, [n, C, H, W]."""

    def __init__(self, module: fx.GraphModule, names: Collection[str]) -> None:
        super().__init__(module)
        self._names = frozenset(names)
        self.found: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        result = super().run_node(n)
        if n.name in self._names:
            peak = result.abs().amax(dim=(0, 2, 3))
            self.found[n.name] = torch.maximum(peak, self.found.get(n.name, peak))
        return result


def _extremes(x: torch.Tensor) -> tuple[float, float]:
    """Smallest and largest value; torch copies what does not lie in the order of its dimensions."""
    low, high = torch.aminmax(x.permute(0, 2, 3, 1) if x.dim() == 4 and not x.is_contiguous() else x)
    return low.item(), high.item()


def _centres(span: tuple[float, float]) -> np.ndarray:
    low, high = span
    return low + max(high - low, 1e-12) / BINS * (np.arange(BINS) + 0.5)


def _bincount(values: np.ndarray, weights: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Sum weights by bin, float64 [bins]: single bins collect millions of small weights."""
    low, high = span
    bins = ((values - low) * (BINS / max(high - low, 1e-12))).astype(np.intp)
    # The largest value, and what rounding puts past it, belong to the last bin.
    np.minimum(bins, BINS - 1, out=bins)
    return np.bincount(bins.ravel(), weights.ravel(), BINS)
