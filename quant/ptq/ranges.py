"""Loss-aware activation ranges: clip where the logits do not care, resolve where they do.

All images are run forward, which finds the smallest and largest value of each activation; some of them
backward too, from random projections of the logits, which says for every element of every activation how much the
logits move with it (`quant/ptq/histograms.py`). A range is then chosen to minimise the squared quantization
error weighted by that sensitivity, instead of the plain one: with per-tensor scales the plain one serves channels
that the next layer hardly reads. (The diagonal of the Gauss-Newton matrix as weights: as in "Data-free quantization
through weight equalization and bias correction"'s successors and HAWQ; here with the logits themselves as the
loss.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from quant.data.batches import first_images, later_images
from quant.graph.gradients import dealt, run_both_ways, run_forward
from quant.graph.parallel import in_parallel, joined
from quant.graph.qdq import QMAX, QMAX16, QMIN, QMIN16, TensorScale
from quant.ptq.histograms import ChannelExtremes, ChannelHistograms, WeightedHistograms, bin_centres
from quant.thresholds import ACTIVATION_SCALE_FLOOR, PLAIN_SHARE, SENSITIVITY

_OUTPUT_MARGIN = 1.25
_MARGIN16 = 1.25
"""How much further than seen the network's own output may reach: images that it never met make it surer, and a
logit that is clipped is an answer changed, while its rounding is the least of all errors."""


_GRID = 16


_REFINEMENTS = 3


@dataclass(frozen=True, slots=True)
class ActivationRange:
    """What an activation took on, and the part of it that the int8 grid covers."""

    seen_low: float
    seen_high: float
    low: float
    high: float

    def scale(self) -> TensorScale:
        """Scale and zero point; zero is always on the grid, since padding and residuals need it."""
        return scale_of(self.low, self.high)

    def scale16(self) -> TensorScale:
        """The same on a grid of 16 bits, which holds all that was seen and a margin: nothing has to be clipped."""
        low, high = (_MARGIN16 * end for end in (self.seen_low, self.seen_high))
        return scale_of(low, high, QMIN16, QMAX16)


def scale_of(low: float, high: float, least: int = QMIN, most: int = QMAX) -> TensorScale:
    """Affine grid of whole numbers from `least` to `most` over [low, high], widened to hold zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / (most - least), ACTIVATION_SCALE_FLOOR * (QMAX - QMIN) / (most - least))
    return TensorScale(scale=scale, zero_point=max(least, min(most, round(least - low / scale))))


@dataclass(frozen=True, slots=True)
class ChannelRanges:
    """What each channel of an activation would choose for itself, and how much depends on it."""

    high: torch.Tensor
    """Upper end of its own loss-aware range, float32 [C], above zero."""
    weight: torch.Tensor
    """How much the logits move with it: squared gradients, summed over positions and images, float64 [C]."""


def find_ranges(
    graph_module: fx.GraphModule,
    names: Sequence[str],
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    plain_share: float = PLAIN_SHARE,
    advance: Callable[[int], None] = lambda images: None,
) -> dict[str, ActivationRange]:
    """Choose a range for each named node of a float graph.

    Args:
        graph_module: from `export_graph`.
        names: nodes whose outputs are to be quantized.
        inputs: calibration images in batches, each [n, C, H, W] float32; the first `SENSITIVITY` run backward.
        seed: of the random projections.
        plain_share: part of the plain squared error in the weighted one, 0..1.
        advance: told of the images read.
    """
    forward, both = later_images(inputs, SENSITIVITY), dealt(graph_module, first_images(inputs, SENSITIVITY))

    def fill(shard: int) -> WeightedHistograms:
        found = WeightedHistograms(graph_module, names, plain_share)
        # Forward first: the bins then seldom have to grow.
        run_forward(found, forward[shard :: len(both)], advance)
        run_both_ways(found, both[shard], seed=seed + shard, advance=advance)
        return found

    histograms = joined(fill, len(both))
    outputs = _outputs(graph_module)

    def chosen(name: str) -> ActivationRange:
        seen = histograms.seen[name]
        return _whole_range(seen) if name in outputs else _best_range(*histograms.histogram(name), seen)

    return dict(zip(names, in_parallel(chosen, names), strict=True))


def _outputs(graph_module: fx.GraphModule) -> set[str]:
    (output,) = (node for node in graph_module.graph.nodes if node.op == "output")
    return {node.name for node in output.all_input_nodes}


def _whole_range(seen: tuple[float, float]) -> ActivationRange:
    return ActivationRange(*seen, *(_OUTPUT_MARGIN * end for end in seen))


def channel_ranges(
    graph_module: fx.GraphModule,
    names: Sequence[str],
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    plain_share: float = PLAIN_SHARE,
    advance: Callable[[int], None] = lambda images: None,
) -> dict[str, ChannelRanges]:
    """Look at each channel of some activations as if it had a scale of its own.

    Args:
        graph_module: from `export_graph`.
        names: nodes, each [n, C, H, W].
        inputs: calibration images in batches, each [n, C, H, W] float32; they are read twice.
        seed: of the random projections.
        plain_share: as for `find_ranges`.
        advance: told of the images read, twice each.
    """
    shards = dealt(graph_module, inputs)

    def reach(shard: int) -> dict[str, torch.Tensor]:
        extremes = ChannelExtremes(graph_module, frozenset(names))
        run_forward(extremes, inputs[shard :: len(shards)], advance)
        return extremes.found

    found = [one for one in in_parallel(reach, range(len(shards))) if one]
    peaks = {name: torch.stack([one[name] for one in found]).amax(dim=0) for name in names}

    def fill(shard: int) -> ChannelHistograms:
        histograms = ChannelHistograms(graph_module, peaks, plain_share)
        run_both_ways(histograms, shards[shard], seed=seed + shard, advance=advance)
        return histograms

    histograms = joined(fill, len(shards))
    return dict(zip(names, in_parallel(lambda name: _ranges_of_channels(histograms, name), names), strict=True))


def _ranges_of_channels(histograms: ChannelHistograms, name: str) -> ChannelRanges:
    (_, weights), peaks = histograms.histograms(name), histograms.peaks[name]
    high = (peaks * _best_shares(weights).float()).clamp_min(1e-6)
    weight = weights.sum(dim=1)
    return ChannelRanges(high, weight * (histograms.energy[name] / weight.sum().clamp_min(1e-300)))


def _best_shares(weights: torch.Tensor) -> torch.Tensor:
    """Search for each channel what `_best_range` does, as a share of its peak, float64 [C].

    Channels share the centres of their bins but for the peak, and so the error of a grid in each bin: the errors of
    all channels are a product of matrices.

    Args:
        weights: of each channel's bins from 0 to its peak, float64 [C, bins].
    """
    values = torch.from_numpy(bin_centres((0.0, 1.0), weights.shape[1]))
    candidates = torch.linspace(1.0 / _GRID, 1.0, _GRID, dtype=torch.float64).expand(len(weights), -1)
    span = 1.0 / _GRID
    best, least = torch.ones(len(weights), dtype=torch.float64), torch.full((len(weights),), torch.inf).double()
    for _ in range(1 + _REFINEMENTS):
        shares, places = candidates.unique(return_inverse=True)
        errors = weights @ _squared_errors(values, torch.zeros_like(shares), shares / (QMAX - QMIN)).T
        error, index = errors.gather(1, places).min(dim=1)
        centre = candidates.gather(1, index[:, None])
        best, least = torch.where(error < least, centre[:, 0], best), torch.minimum(error, least)
        span /= 4.0
        candidates = _around(centre, span)
    return best


def _best_range(values: torch.Tensor, weights: torch.Tensor, seen: tuple[float, float]) -> ActivationRange:
    """Search the range whose int8 grid has the least weighted squared error; coarse grid, then finer ones."""
    kept = weights > 0
    values, weights = values[kept], weights[kept]
    low_limit, high_limit = min(seen[0], 0.0), max(seen[1], 0.0)
    shares = torch.linspace(1.0 / _GRID, 1.0, _GRID, dtype=torch.float64)
    span, centre = 1.0 / _GRID, (1.0, 1.0)
    best = (torch.inf, low_limit, high_limit)
    for step in range(1 + _REFINEMENTS):
        lows = shares if step == 0 else _around(centre[0], span)
        highs = shares if step == 0 else _around(centre[1], span)
        pairs = torch.cartesian_prod(lows if low_limit < 0 else lows[-1:], highs if high_limit > 0 else highs[-1:])
        errors = _errors(values, weights, pairs[:, 0] * low_limit, pairs[:, 1] * high_limit)
        index = int(errors.argmin())
        centre = (pairs[index, 0].item(), pairs[index, 1].item())
        if errors[index].item() < best[0]:
            best = (errors[index].item(), centre[0] * low_limit, centre[1] * high_limit)
        span /= 4.0
    return ActivationRange(*seen, best[1], best[2])


def _around(share: float | torch.Tensor, span: float) -> torch.Tensor:
    return (share + span * torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)).clamp(1e-3, 1.0)


def _errors(values: torch.Tensor, weights: torch.Tensor, lows: torch.Tensor, highs: torch.Tensor) -> torch.Tensor:
    """Weighted squared error of each range's grid, [ranges]."""
    scales = ((highs - lows) / (QMAX - QMIN)).clamp_min(ACTIVATION_SCALE_FLOOR)
    return _squared_errors(values, lows, scales).mul_(weights).sum(dim=1)


def _squared_errors(values: torch.Tensor, lows: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Of each value on each grid, [ranges, values]."""
    scales = scales[:, None]
    zeros = (QMIN - lows[:, None] / scales).round()
    levels = (values / scales).add_(zeros).round_().clamp_(QMIN, QMAX)
    return levels.sub_(zeros).mul_(scales).sub_(values).square_()
