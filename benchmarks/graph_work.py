"""Seconds that the rewriting of graphs takes: what grows with the layers of a network, whatever its images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from edge_effnet.fuse import fold_for_inference
from edge_effnet.model import EfficientNet
from quant.graph.export import export_graph
from quant.graph.qdq import WEIGHTED
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.ptq.convert import convert, fixed_specs
from quant.ptq.quantizers import activations_of
from quant.ptq.ranges import ActivationRange

SIDE = 32
"""Of the input, pixels: the network itself then takes next to no time."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class GraphWork:
    """One network's figures."""

    layers: int
    """Convolutions and classifier."""
    seconds: dict[str, float]
    """By step: fold, export, convert (prepare and convert), lower (int8 and float)."""

    @property
    def total(self) -> float:
        """Of all steps."""
        return sum(self.seconds.values())

    def cells(self) -> list[str]:
        """Layers, steps, total and milliseconds a layer."""
        return [
            str(self.layers),
            *(f"{value:.1f}" for value in self.seconds.values()),
            f"{self.total:.1f}",
            f"{1e3 * self.total / self.layers:.0f}",
        ]


def measure_graph_work(variant: str) -> GraphWork:
    """Take a network from module to program, with made-up ranges."""
    model = EfficientNet.from_name(variant, image_size=SIDE).eval()
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Result]) -> Result:
        start = time.perf_counter()
        result = work()
        seconds[step] = time.perf_counter() - start
        return result

    folded = timed("fold", lambda: fold_for_inference(model, SIDE))
    graph = timed("export", lambda: export_graph(folded, SIDE))
    made_up = ActivationRange(-1.0, 1.0, -1.0, 1.0)
    specs = fixed_specs(dict.fromkeys(activations_of(graph, frozenset()), made_up))
    image = torch.zeros(1, 3, SIDE, SIDE)
    converted = timed("convert", lambda: convert(graph, specs, frozenset(), [image]))
    timed("lower", lambda: [lower_xnnpack(module, (1, 3, SIDE, SIDE)) for module in (converted, graph)])
    layers = sum(node.target in WEIGHTED for node in graph.graph.nodes)
    return GraphWork(layers=layers, seconds=seconds)
