"""Run a graph over a whole calibration set, layer by layer, keeping only what later layers read."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

import torch
from torch import fx
from torch.nn import functional as F

from quant.graph.compute import compute
from quant.graph.export import silus_of
from quant.graph.finite import extremes
from quant.graph.parallel import in_parallel
from quant.graph.qdq import constant_of, elements

_FLOAT16_MAX = 6.0e4

_POSITIONS = 1024
"""Of a result, that are read from one image; more change nothing."""

_AHEAD = 6
"""Sampled nodes that a run may go ahead of the one asked for: their samples wait, instead of whole results."""


class ChunkedRun:
    """A run that advances on demand, so that two graphs can walk side by side.

    From one stop to the next each chunk goes all the way in a thread of its own, channels last; what lies between is
    never kept. `x * sigmoid(x)` is the SiLU that it was before export. At a stop, a simulation's whole numbers are
    kept as such, other results as float16: 16 bits are far finer than the 8 under study.
    """

    def __init__(
        self, module: fx.GraphModule, inputs: Sequence[torch.Tensor], sampled: Collection[fx.Node] = ()
    ) -> None:
        """Compute nothing yet.

        Args:
            module: an exported graph, or a simulation.
            inputs: chunks of images, each [n, C, H, W] float32.
            sampled: nodes of an exported graph of which `samples` is asked, in their order.
        """
        self._module = module
        silus = silus_of(module.graph)
        self._silus = {product: x for product, (x, _) in silus.items()}
        gates = {gate for _, gate in silus.values() if len(gate.users) == 1}
        nodes = list(module.graph.nodes)
        self._pending = deque(node for node in nodes if node.op != "placeholder" and node not in gates)
        (source,) = (node for node in nodes if node.op == "placeholder")
        self._alive: list[dict[fx.Node, torch.Tensor]] = [{source: chunk} for chunk in inputs]
        """By chunk, what was computed and is still read."""
        last = {read: node for node in nodes for read in node.all_input_nodes}
        self._ends: dict[fx.Node, list[fx.Node]] = {}
        """By node, what nothing after it reads."""
        for read, node in last.items():
            self._ends.setdefault(node, []).append(read)
        self._sampled = frozenset(sampled)
        self._samples: list[dict[fx.Node, torch.Tensor]] = [{} for _ in inputs]

    def advance_before(self, target: fx.Node) -> None:
        """Compute what `target` reads, but not `target`; nodes already passed are not computed again."""
        if target in self._pending:
            self._run(self._pending.index(target))

    def chunks(self, node: fx.Node) -> list[torch.Tensor]:
        """Results of a computed node, chunk by chunk, as they are kept: who reads one widens it."""
        return [alive[node] for alive in self._alive]

    def samples(self, node: fx.Node) -> list[torch.Tensor]:
        """Compute a sampled node, and hand over, once, what was sampled of it, [C, samples], as it is kept."""
        if node in self._pending:
            self._run(1 + self._narrowest(self._pending.index(node)))
        return [found.pop(node) for found in self._samples]

    def _narrowest(self, first: int) -> int:
        """Where to stop, `first` or up to `_AHEAD` sampled nodes after it: least has to be kept there."""
        alive, best, least, ahead = set(self._alive[0]), first, float("inf"), 0
        for index, node in enumerate(self._pending):
            ahead += index > first and node in self._sampled
            if ahead > _AHEAD or node.op == "output":
                break
            alive = (alive | {node}) - set(self._ends.get(node, ()))
            kept = sum(elements(one) for one in alive if one.op != "get_attr")
            if index >= first and kept < least:
                best, least = index, kept
        return best

    def _run(self, count: int) -> None:
        segment = [self._pending.popleft() for _ in range(count)]
        chunks = list(zip(self._alive, self._samples, strict=True))
        for _ in in_parallel(lambda chunk: self._advance(*chunk, segment), chunks):
            pass

    def _advance(
        self, alive: dict[fx.Node, torch.Tensor], samples: dict[fx.Node, torch.Tensor], segment: Sequence[fx.Node]
    ) -> None:
        """Run one chunk through a segment."""
        values: dict[fx.Node, torch.Tensor] = {}
        for node in segment:
            for source in node.all_input_nodes:
                if source in alive and source not in values:
                    values[source] = _widened(alive[source])
            values[node] = self._compute(node, values)
            if node in self._sampled:
                samples[node] = _compact(node, sampled(values[node]))
            for read in self._ends.get(node, ()):
                values.pop(read, None)
                alive.pop(read, None)
        alive.update({node: _compact(node, values[node]) for node in segment if node in values and node.users})

    def _compute(self, node: fx.Node, values: dict[fx.Node, torch.Tensor]) -> torch.Tensor:
        if node.op == "get_attr":
            return constant_of(self._module, node)
        if node in self._silus:
            return F.silu(values[self._silus[node]])
        result: torch.Tensor = compute(node, values.__getitem__)
        return result


def _widened(part: torch.Tensor) -> torch.Tensor:
    layout = torch.channels_last if part.dim() == 4 else torch.contiguous_format
    return part.to(torch.float32).contiguous(memory_format=layout)


def _compact(node: fx.Node, result: torch.Tensor) -> torch.Tensor:
    if node.op == "get_attr":
        return result
    if "scale" in node.meta:
        return result.to(node.meta["dtype"])
    low, high = extremes(result)
    return result.to(torch.float16) if max(-low, high) < _FLOAT16_MAX else result


def sampled(x: torch.Tensor) -> torch.Tensor:
    """[N, C, ...] -> float32 [C, samples], evenly thinned to at most `_POSITIONS` positions an image."""
    flat = x.flatten(2) if x.dim() > 2 else x[:, :, None]
    step = max(1, flat.shape[2] // _POSITIONS)
    # In the order of memory where channels lie last.
    return flat[:, :, ::step].permute(0, 2, 1).reshape(-1, x.shape[1]).to(torch.float32).T
