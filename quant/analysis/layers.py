"""Where a quantized network loses what: every activation's range, error and weight, layer by layer.

For each activation two figures say different things. Its SQNR compares the int8 stream with the float one at this
place: what has been lost up to here, by all layers before. Its share of the noise is what quantizing this one tensor
alone does to the logits, as a part of what all tensors do (first order: the square of the logits' gradient times the
square of the rounding and clipping error, summed). There a layer in float, or a better range, would help.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from quant.analysis.layer_report import LayerReport
from quant.graph.compute import PlainInterpreter
from quant.graph.fallback_units import module_of
from quant.graph.finite import extremes, in_memory_order
from quant.graph.gradients import Observer, dealt, run_both_ways, run_forward
from quant.graph.latency_model import node_milliseconds
from quant.graph.parallel import joined
from quant.graph.pixels import pixels
from quant.graph.qdq import QMAX, QMIN, TensorScale, following_quantize, fused_clamp, tensor_scale
from quant.lower.xnnpack.simulator import Simulation, simulation_of
from quant.ptq.quantizers import SAME_VALUES

aten = torch.ops.aten

_OPERATORS = {"conv2d": "convolution", "linear": "linear", "mul": "product", "add": "sum", "mean": "pooling"}


def analyze(
    graph_module: fx.GraphModule,
    converted: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    *,
    seed: int = 0,
    advance: Callable[[int], None] = lambda images: None,
) -> list[LayerReport]:
    """Compare a converted graph with the float graph that it was made from, activation by activation.

    Args:
        graph_module: from `export_graph`, with whatever was rewritten before conversion.
        converted: from `quantize_graph`.
        inputs: images in batches, each [n, C, H, W] float32; 16 to 32 tell enough.
        seed: of the random projections of the logits.
        advance: told of the images done, twice each.
    """
    simulation = simulation_of(converted, gates=True)
    grids = _grids(converted)
    # A clamp that XNNPACK runs inside another operator: what is seen of the two is the clamp's output.
    ends = {node.name: (fused_clamp(node) or node).name for node in converted.graph.nodes}
    shards = dealt(graph_module, inputs)

    def compare(shard: int) -> _Comparison:
        compared = _Comparison(graph_module, grids, _Stream(simulation, ends))
        run_forward(compared, shards[shard], advance)
        return compared

    def weigh(shard: int) -> _Noise:
        noise = _Noise(graph_module, grids)
        run_both_ways(noise, shards[shard], seed=seed + shard, advance=advance)
        return noise

    return joined(compare, len(shards)).reports(joined(weigh, len(shards)).found)


def _grids(converted: fx.GraphModule) -> dict[str, TensorScale]:
    """Scale of every quantized activation, by the name of the operator that ends it."""
    found = {}
    for node in converted.graph.nodes:
        quantize = following_quantize(node)
        if node.op in ("call_function", "placeholder") and quantize is not None:
            found[node.name] = tensor_scale(quantize)
    return found


@dataclass(slots=True)
class _Sums:
    low: float = torch.inf
    high: float = -torch.inf
    count: int = 0
    clipped: int = 0
    signal: float = 0.0
    difference: float = 0.0

    def take(self, other: _Sums) -> None:
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        for name in ("count", "clipped", "signal", "difference"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class _Noise(Observer):
    """Runs both ways, and sums what rounding each activation alone does to the logits.

    Errors are computed when the gradient is there: kept, those of B7 at 600 pixels would take gigabytes, as would its
    gates. A gate's gradient is the product's times the other factor.
    """

    def __init__(self, module: fx.GraphModule, grids: dict[str, TensorScale]) -> None:
        super().__init__(module)
        self._grids = {name: grids[name] for name in _shown(module) & grids.keys()}
        self.found: defaultdict[str, float] = defaultdict(float)
        """By activation."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._grids and n not in self.skipped:
            values = result.detach()
            result.register_hook(lambda gradient: self._add(n, gradient, values))
        gate = self.gates.get(n)
        if gate is not None and gate.name in self._grids:
            x = self.env[self.sources[n]].detach()
            result.register_hook(lambda gradient: self._add(gate, gradient * x, x.sigmoid()))
        return result

    def _add(self, node: fx.Node, gradient: torch.Tensor, values: torch.Tensor) -> None:
        grid = self._grids[node.name]
        error = _levels(values, grid).clamp_(QMIN, QMAX).sub_(grid.zero_point).mul_(grid.scale).sub_(values)
        self.found[node.name] += _energy(error.mul_(gradient))

    def take(self, other: _Noise) -> None:
        """Add what others of the images show."""
        for name, noise in other.found.items():
            self.found[name] += noise


class _Comparison(PlainInterpreter):
    """The float graph, with the int8 stream's values at hand."""

    def __init__(self, module: fx.GraphModule, grids: dict[str, TensorScale], stream: _Stream) -> None:
        super().__init__(module)
        self._grids = grids
        self._stream = stream
        self._shown = _shown(module)
        self._sums: dict[str, _Sums] = {}
        self._nodes = list(module.graph.nodes)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "placeholder":
            self._stream.begin(result)
        if n.name in self._shown and isinstance(result, torch.Tensor):
            self._look(n.name, result)
        return result

    def _look(self, name: str, values: torch.Tensor) -> None:
        grid, stream, (low, high) = self._grids.get(name), self._stream.take(name), extremes(values)
        seen = _Sums(
            low=low,
            high=high,
            count=values.numel(),
            clipped=0 if grid is None else _clipped(values, grid, (low, high)),
            signal=_energy(values),
            difference=0.0 if stream is None else _energy(stream.sub_(values)),
        )
        self._sums.setdefault(name, _Sums()).take(seen)

    def take(self, other: _Comparison) -> None:
        """Add what others of the images show."""
        for name, sums in other._sums.items():
            self._sums.setdefault(name, _Sums()).take(sums)

    def reports(self, noise: dict[str, float]) -> list[LayerReport]:
        """What was seen, and of each activation its share of the noise."""
        total = sum(noise.values()) or 1.0
        nodes = [node for node in self._nodes if node.name in self._sums]
        compared = [node for node in nodes if node.name in self._stream.compared]
        return [self._report(node, noise.get(node.name, 0.0), total) for node in compared]

    def _report(self, node: fx.Node, noise: float, total: float) -> LayerReport:
        sums, grid = self._sums[node.name], self._grids.get(node.name)
        limits = None
        if grid is not None:
            limits = ((QMIN - grid.zero_point) * grid.scale, (QMAX - grid.zero_point) * grid.scale)
        ratio = sums.signal / max(sums.difference, 1e-12 * sums.signal, 1e-30)
        return LayerReport(
            node=node.name,
            layer=module_of(node),
            operator=_operator_of(node),
            precision="float" if grid is None else "int8",
            seen=(sums.low, sums.high),
            grid=limits,
            clipped=None if grid is None else sums.clipped / sums.count,
            sqnr_db=10.0 * torch.tensor(max(ratio, 1e-20)).log10().item(),
            noise=noise,
            noise_share=noise / total,
            estimated_ms=node_milliseconds(_computed_by(node), in_float=grid is None),
        )


class _Stream(PlainInterpreter):
    """The simulation, walking beside float: what operators of the converted graph give is kept until it is taken."""

    def __init__(self, simulation: Simulation, ends: dict[str, str]) -> None:
        super().__init__(simulation.module)
        operators = simulation.operators | simulation.floats
        self._names = {node: ends[name] for name, node in operators.items()}
        self.compared = set(self._names.values())
        self._waiting: deque[fx.Node] = deque()
        self._found: dict[str, tuple[torch.Tensor, TensorScale | None]] = {}

    def begin(self, images: torch.Tensor) -> None:
        """Start with other images."""
        self.env, self.args_iter = {}, iter([images])
        self._waiting = deque(node for node in self.graph.nodes if node.op != "output")
        self._found.clear()

    def take(self, name: str) -> torch.Tensor | None:
        """Give, once, what the operator of that name gave, in real units."""
        while name in self.compared and name not in self._found and self._waiting:
            node = self._waiting.popleft()
            with torch.no_grad():
                self.env[node] = self.run_node(node)
            for read in self.user_to_last_uses.get(node, []):
                del self.env[read]
        result, scale = self._found.pop(name, (None, None))
        if result is None or scale is None:
            # Who takes it may change it; the simulation reads it again.
            return None if result is None else result.clone()
        return (result.to(torch.float32) - scale.zero_point).mul_(scale.scale)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self._names:
            scale = n.meta.get("scale")
            self._found[self._names[n]] = (result if scale is None else result.to(torch.int8), scale)
        return result


def _shown(module: fx.GraphModule) -> set[str]:
    """Names of the activations that are reported on."""
    return {node.name for node in module.graph.nodes if _computes(node) and fused_clamp(node) is None}


def _computes(node: fx.Node) -> bool:
    """Whether a node gives other values than it reads."""
    return node.op == "call_function" and node.target not in (*SAME_VALUES, aten.dropout.default, pixels)


def _computed_by(node: fx.Node) -> fx.Node:
    """What a value costs to compute: of a clamp that runs inside another operator, that one."""
    source = node.args[0]
    return source if isinstance(source, fx.Node) and fused_clamp(source) is node else node


def _levels(values: torch.Tensor, grid: TensorScale) -> torch.Tensor:
    return (values / grid.scale).round_().add_(grid.zero_point)


def _clipped(values: torch.Tensor, grid: TensorScale, seen: tuple[float, float]) -> int:
    """How many values a grid clips; nothing is counted where it holds the ends of what was seen."""
    least, most = _levels(torch.tensor(seen), grid).tolist()
    if least >= QMIN and most <= QMAX:
        return 0
    levels = in_memory_order(_levels(values, grid))
    return int(((levels < QMIN) | (levels > QMAX)).count_nonzero())


def _energy(x: torch.Tensor) -> float:
    """Sum of squares: of rows in float32, which is twelve times faster than float64, and of all in float64."""
    rows = in_memory_order(x).flatten(0, -3) if x.dim() == 4 else x
    return float(torch.linalg.vector_norm(rows.flatten(1), dim=1).double().square().sum())


def _operator_of(node: fx.Node) -> str:
    name = str(node.target).split(".")[1].rstrip("_")
    return _OPERATORS.get(name, name)
