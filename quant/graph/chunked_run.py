"""Run a graph node by node over a whole calibration set, keeping only what later nodes read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

_FLOAT16_MAX = 6.0e4


@dataclass(frozen=True, slots=True)
class Chunks:
    """An activation of a whole calibration set: float32 chunk by chunk, as often as it is looked at.

    One chunk at a time is widened: all of them would take as much memory again as both graphs' streams.
    """

    parts: Sequence[torch.Tensor]

    def __iter__(self) -> Iterator[torch.Tensor]:
        return (part.to(torch.float32) for part in self.parts)


class ChunkedRun(fx.Interpreter):
    """An interpreter that advances on demand, so that two graphs can walk side by side.

    A simulation's whole numbers are kept as such, other results as float16: a calibration set's activations then
    take a third of the memory, and 16 bits are far finer than the 8 under study.
    """

    def __init__(self, module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__(module)
        self._inputs = inputs
        self._pending = iter(list(module.graph.nodes))
        self._readers = Counter({node: len(node.users) for node in module.graph.nodes})
        self._stored: dict[fx.Node, Any] = {}

    def advance_to(self, target: fx.Node) -> None:
        """Compute all nodes up to and including `target`; nodes already passed are not computed again."""
        if target in self._stored:
            return
        for node in self._pending:
            self._compute(node)
            if node is target:
                return

    def advance_before(self, target: fx.Node) -> None:
        """Compute what `target` reads, but not `target`."""
        for source in target.all_input_nodes:
            self.advance_to(source)

    def chunks(self, node: fx.Node) -> Chunks:
        """Results of a computed node."""
        return Chunks(self._stored[node])

    def _compute(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._stored[node] = list(self._inputs)
        elif node.op == "get_attr":
            self._stored[node] = self.fetch_attr(str(node.target))
        elif node.op == "call_function":
            self._stored[node] = [_compact(node, self._call(node, i)) for i in range(len(self._inputs))]
        for source in node.all_input_nodes:
            self._readers[source] -= 1
            if self._readers[source] == 0 and source.op == "call_function":
                del self._stored[source]

    def _call(self, node: fx.Node, index: int) -> torch.Tensor:
        def value(source: fx.Node) -> Any:
            if source.op == "get_attr":
                return self.fetch_attr(str(source.target))
            return self._stored[source][index].to(torch.float32)

        args = fx.map_arg(node.args, value)
        kwargs = fx.map_arg(node.kwargs, value)
        result: torch.Tensor = node.target(*args, **kwargs)  # type: ignore[operator]
        return result


def _compact(node: fx.Node, result: torch.Tensor) -> torch.Tensor:
    if "scale" in node.meta:
        return result.to(node.meta["dtype"])
    low, high = (v.item() for v in result.aminmax())
    return result.to(torch.float16) if max(-low, high) < _FLOAT16_MAX else result
