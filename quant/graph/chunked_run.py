"""Run a graph over a whole calibration set, layer by layer, keeping only what later layers read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import fx

from quant.graph.export import SiluAtOnce
from quant.graph.finite import extremes

_FLOAT16_MAX = 6.0e4


class ChunkedRun(SiluAtOnce):
    """An interpreter that advances on demand, so that two graphs can walk side by side.

    From one stop to the next each chunk goes all the way before the next one does, channels last; what lies between
    is never kept. At a stop, a simulation's whole numbers are kept as such, other results as float16: 16 bits are far
    finer than the 8 under study.
    """

    def __init__(self, module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__(module)
        nodes = list(module.graph.nodes)
        self._pending = deque(node for node in nodes if node.op != "placeholder")
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
        for alive in self._alive:
            self.env = {}
            for node in segment:
                for source in node.all_input_nodes:
                    if source in alive and source not in self.env:
                        self.env[source] = _widened(alive[source])
                self.env[node] = self.run_node(node)
                for read in self._ends.get(node, ()):
                    self.env.pop(read, None)
                    alive.pop(read, None)
            for node in segment:
                result = self.env.get(node)
                if node.users and result is not None:
                    alive[node] = _compact(node, result)
        self.env = {}


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
