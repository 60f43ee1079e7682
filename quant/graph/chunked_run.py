"""Run a graph over a whole calibration set, layer by layer, keeping only what later layers read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from quant.graph.export import silus_of
from quant.graph.finite import extremes
from quant.graph.parallel import in_parallel
from quant.graph.qdq import constant_of

_FLOAT16_MAX = 6.0e4


class ChunkedRun:
    """A run that advances on demand, so that two graphs can walk side by side.

    From one stop to the next each chunk goes all the way in a thread of its own, channels last; what lies between is
    never kept. `x * sigmoid(x)` is the SiLU that it was before export. At a stop, a simulation's whole numbers are
    kept as such, other results as float16: 16 bits are far finer than the 8 under study.
    """

    def __init__(self, module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> None:
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

    def advance_to(self, target: fx.Node) -> None:
        """Compute all nodes up to and including `target`; nodes already passed are not computed again."""
        if target in self._pending:
            self._run(self._pending.index(target) + 1)

    def advance_before(self, target: fx.Node) -> None:
        """Compute what `target` reads, but not `target`."""
        if target in self._pending:
            self._run(self._pending.index(target))

    def chunks(self, node: fx.Node) -> list[torch.Tensor]:
        """Results of a computed node, chunk by chunk, as they are kept: who reads one widens it."""
        return [alive[node] for alive in self._alive]

    def _run(self, count: int) -> None:
        segment = [self._pending.popleft() for _ in range(count)]
        for _ in in_parallel(lambda alive: self._advance(alive, segment), self._alive):
            pass

    def _advance(self, alive: dict[fx.Node, torch.Tensor], segment: Sequence[fx.Node]) -> None:
        """Run one chunk through a segment."""
        values: dict[fx.Node, torch.Tensor] = {}
        for node in segment:
            for source in node.all_input_nodes:
                if source in alive and source not in values:
                    values[source] = _widened(alive[source])
            values[node] = self._compute(node, values)
            for read in self._ends.get(node, ()):
                values.pop(read, None)
                alive.pop(read, None)
        alive.update({node: _compact(node, values[node]) for node in segment if node in values and node.users})

    def _compute(self, node: fx.Node, values: dict[fx.Node, torch.Tensor]) -> torch.Tensor:
        if node.op == "get_attr":
            return constant_of(self._module, node)
        if node in self._silus:
            return F.silu(values[self._silus[node]])
        function: Any = node.target
        args: Any = fx.map_arg(node.args, values.__getitem__)
        kwargs: Any = fx.map_arg(node.kwargs, values.__getitem__)
        result: torch.Tensor = function(*args, **kwargs)
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
