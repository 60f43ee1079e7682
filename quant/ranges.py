"""Loss-aware activation ranges: clip where the logits do not care, resolve where they do.

All photographs are run forward, which finds the smallest and largest value of each activation; some of them backward
too, from random projections of the logits, which says for every element of every activation how much the logits move
with it. Positions of large activations are thinned evenly there. A range is then chosen to minimise the squared
quantization error weighted by that sensitivity, instead of the plain one: with per-tensor scales the plain one serves
channels that the next layer hardly reads. (The diagonal of the Gauss-Newton matrix as
weights: as in "Data-free quantization through weight equalization and bias correction"'s successors and HAWQ; here
with the logits themselves as the loss.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from quant.memory import first_photographs, later_photographs
from quant.qdq import QMAX, QMIN, TensorScale
from quant.sensitivity import run_both_ways
from quant.silu_at_once import SiluAtOnce
from quant.thread_invariance import thread_invariant
from quant.tolerances import ACTIVATION_SCALE_FLOOR, SENSITIVITY

_BINS = 2048

# Positions of an activation that are looked at on the way back, of one photograph; more change nothing.
_POSITIONS = 4096

PLAIN_SHARE = 1e-4
"""Share of the plain squared error in the weights: keeps a range sane where the sampled gradients are zero."""

_OUTPUT_MARGIN = 1.25
"""How much further than seen the network's own output may reach: photographs that it never met make it surer, and a
logit that is clipped is an answer changed, while its rounding is the least of all errors."""

_GRID = 24
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


def scale_of(low: float, high: float) -> TensorScale:
    """Affine int8 grid over [low, high], widened to hold zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / (QMAX - QMIN), ACTIVATION_SCALE_FLOOR)
    return TensorScale(scale=scale, zero_point=max(QMIN, min(QMAX, round(QMIN - low / scale))))


@dataclass(frozen=True, slots=True)
class ChannelRanges:
    """What each channel of an activation would choose for itself, and how much depends on it."""

    high: torch.Tensor
    """Upper end of its own loss-aware range, float32 [C], above zero."""
    weight: torch.Tensor
    """How much the logits move with it: squared gradients, summed over positions and photographs, float64 [C]."""


def find_ranges(
    graph_module: fx.GraphModule,
    names: Sequence[str],
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    plain_share: float = PLAIN_SHARE,
    advance: Callable[[int], None] = lambda photographs: None,
) -> dict[str, ActivationRange]:
    """Choose a range for each named node of a float graph.

    Args:
        graph_module: from `export_graph`.
        names: nodes whose outputs are to be quantized.
        inputs: calibration photographs in batches, each [n, C, H, W] float32; the first `SENSITIVITY` run backward.
        seed: of the random projections.
        plain_share: part of the plain squared error in the weighted one, 0..1.
        advance: told of the photographs read.
    """
    histograms = _WeightedHistograms(graph_module, names, plain_share)
    # Forward first: the bins then seldom have to grow.
    _run(histograms, later_photographs(inputs, SENSITIVITY), advance)
    run_both_ways(histograms, first_photographs(inputs, SENSITIVITY), seed=seed, advance=advance)
    outputs = _outputs(graph_module)
    return {
        name: _whole_range(histograms.seen[name])
        if name in outputs
        else _best_range(*histograms.histogram(name), histograms.seen[name])
        for name in names
    }


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
) -> dict[str, ChannelRanges]:
    """Look at each channel of some activations as if it had a scale of its own.

    Args:
        graph_module: from `export_graph`.
        names: nodes, each [n, C, H, W].
        inputs: calibration photographs in batches, each [n, C, H, W] float32; they are read twice.
        seed: of the random projections.
        plain_share: as for `find_ranges`.
    """
    extremes = _ChannelExtremes(graph_module, frozenset(names))
    _run(extremes, inputs)
    histograms = _ChannelHistograms(graph_module, extremes.found, plain_share)
    run_both_ways(histograms, inputs, seed=seed)
    return {name: histograms.ranges(name) for name in names}


@torch.no_grad()
@thread_invariant()
def _run(
    interpreter: fx.Interpreter,
    inputs: Sequence[torch.Tensor],
    advance: Callable[[int], None] = lambda photographs: None,
) -> None:
    for batch in inputs:
        interpreter.run(batch)
        advance(len(batch))


class _ChannelExtremes(fx.Interpreter):
    """Largest magnitude of each channel of each named node's output."""

    def __init__(self, module: fx.GraphModule, names: frozenset[str]) -> None:
        super().__init__(module)
        self._names = names
        self.found: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names:
            peak = result.abs().amax(dim=(0, 2, 3))
            self.found[n.name] = torch.maximum(peak, self.found.get(n.name, peak))
        return result


class _Sensitivities(SiluAtOnce):
    """Shows each named node's output together with how much the logits move with every element of it."""

    def __init__(self, module: fx.GraphModule, names: Collection[str], plain_share: float) -> None:
        super().__init__(module)
        self._names, self._plain_share = frozenset(names), plain_share
        self.energy: defaultdict[str, float] = defaultdict(float)
        """How much the logits move with each activation: squared gradients, summed over elements and photographs."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names and result.requires_grad:
            values, elements = _thinned(result.detach()), result.numel()
            result.register_hook(
                lambda gradient, name=n.name: self._weigh(name, values, _thinned(gradient), elements)
            )
        return result

    def _weigh(self, name: str, values: torch.Tensor, gradient: torch.Tensor, elements: int) -> None:
        squares, plain = gradient.square(), self._plain_share
        mean = squares.mean()
        self.energy[name] += elements * mean.item()
        weights = squares.mul_((1.0 - plain) / mean.clamp_min(1e-30)).add_(plain)
        self.add(name, values, weights)

    def add(self, name: str, values: torch.Tensor, weights: torch.Tensor) -> None:
        """Take an activation's values and their weights, of mean 1, both [n, C, positions]."""
        raise NotImplementedError


class _WeightedHistograms(_Sensitivities):
    """Histograms of each named node's output, every element weighted by the logits' sensitivity to it."""

    def __init__(self, module: fx.GraphModule, names: Collection[str], plain_share: float) -> None:
        super().__init__(module, names, plain_share)
        self.seen: dict[str, tuple[float, float]] = {}
        """Smallest and largest value so far."""
        self._covered: dict[str, tuple[float, float]] = {}
        """What the bins span."""
        self._weights: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._names:
            low, high = (v.item() for v in result.detach().aminmax())
            before = self.seen.get(n.name, (low, high))
            self.seen[n.name] = (min(low, before[0]), max(high, before[1]))
        return result

    def histogram(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Centres of the bins and their weights, float64 [bins]."""
        self._cover(name)
        return _centres(self._covered[name]), self._weights[name]

    def add(self, name: str, values: torch.Tensor, weights: torch.Tensor) -> None:
        self._cover(name)
        # float64: single bins of large tensors collect millions of small weights.
        self._weights[name] += _bincount(values, weights.double(), self._covered[name])

    def _cover(self, name: str) -> None:
        """Let the bins span all that was seen; where they have to grow, what they hold goes to the nearest ones."""
        seen, covered = self.seen[name], self._covered.get(name)
        if seen == covered:
            return
        self._covered[name] = seen
        if covered is None:
            self._weights[name] = torch.zeros(_BINS, dtype=torch.float64)
        else:
            self._weights[name] = _bincount(_centres(covered), self._weights[name], seen)


def _thinned(x: torch.Tensor) -> torch.Tensor:
    """[N, C, ...] -> [N, C, positions], at most about `_POSITIONS` of them, evenly spread."""
    flat = x.flatten(2) if x.dim() > 2 else x[:, :, None]
    step = max(1, flat.shape[2] // _POSITIONS)
    return flat if step == 1 else flat[:, :, ::step].contiguous()


def _centres(span: tuple[float, float]) -> torch.Tensor:
    low, high = span
    return low + max(high - low, 1e-12) / _BINS * (torch.arange(_BINS, dtype=torch.float64) + 0.5)


def _bincount(values: torch.Tensor, weights: torch.Tensor, span: tuple[float, float]) -> torch.Tensor:
    """Sum weights by bin, float64 [bins]."""
    low, high = span
    bins = (values - low).mul_(_BINS / max(high - low, 1e-12)).clamp_(0, _BINS - 1).long()
    return torch.bincount(bins.flatten(), weights=weights.flatten(), minlength=_BINS)


class _ChannelHistograms(_Sensitivities):
    """The same for each channel, of magnitudes."""

    def __init__(self, module: fx.GraphModule, peaks: dict[str, torch.Tensor], plain_share: float) -> None:
        super().__init__(module, peaks, plain_share)
        self._peaks = {name: peak.clamp_min(1e-6)[None, :, None] for name, peak in peaks.items()}
        self._weights = {name: torch.zeros(len(peak) * _BINS, dtype=torch.float64) for name, peak in peaks.items()}

    def add(self, name: str, values: torch.Tensor, weights: torch.Tensor) -> None:
        peaks = self._peaks[name]
        bins = (values.abs() * (_BINS / peaks)).long().clamp_(max=_BINS - 1)
        bins += _BINS * torch.arange(peaks.numel())[:, None]
        self._weights[name] += torch.bincount(
            bins.flatten(), weights=weights.flatten().double(), minlength=peaks.numel() * _BINS
        )

    def ranges(self, name: str) -> ChannelRanges:
        """Best upper end and weight of each channel."""
        centres = (torch.arange(_BINS, dtype=torch.float64) + 0.5) / _BINS
        rows = self._weights[name].view(-1, _BINS)
        found = [
            _best_range(peak * centres, row, (0.0, peak)).high
            for peak, row in zip(self._peaks[name].flatten().tolist(), rows, strict=True)
        ]
        high, weight = torch.tensor(found, dtype=torch.float32).clamp_min(1e-6), rows.sum(dim=1)
        return ChannelRanges(high, weight * (self.energy[name] / weight.sum().clamp_min(1e-300)))


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


def _around(share: float, span: float) -> torch.Tensor:
    return (share + span * torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)).clamp(1e-3, 1.0)


def _errors(values: torch.Tensor, weights: torch.Tensor, lows: torch.Tensor, highs: torch.Tensor) -> torch.Tensor:
    """Weighted squared error of each range's grid, [ranges]."""
    scales = ((highs - lows) / (QMAX - QMIN)).clamp_min(ACTIVATION_SCALE_FLOOR)[:, None]
    zeros = (QMIN - lows[:, None] / scales).round()
    levels = (values / scales).add_(zeros).round_().clamp_(QMIN, QMAX)
    return levels.sub_(zeros).mul_(scales).sub_(values).square_().mul_(weights).sum(dim=1)
