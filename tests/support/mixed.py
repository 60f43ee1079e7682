"""A tiny network with some operators in 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import fx, nn

from quant.graph.export import export_graph
from quant.ptq.convert import convert, observer_spec
from quant.ptq.quantizers import PLACEMENTS


class Tiny(nn.Module):
    """A stem, squeeze-excite, a residual and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate, self.project = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.classifier = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = y = nn.functional.silu(self.stem(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = self.project(x) + y
        return self.classifier(x.mean((2, 3), keepdim=True).flatten(1))


def mixed_graph(wide: Callable[[Sequence[str]], Sequence[str]]) -> tuple[fx.GraphModule, torch.Tensor]:
    """Convert the network with those of its operators in 16 bits that are chosen from their names; and images."""
    torch.manual_seed(0)
    graph, x = export_graph(Tiny().eval(), 32), torch.randn(8, 3, 32, 32)
    names = [node.name for node in graph.graph.nodes if node.op == "call_function"]
    placement = PLACEMENTS["htp-mixed"]
    quantizer = partial(placement.quantizer, wide=frozenset(wide(names)), wide_activation=observer_spec("minmax", 16))
    return convert(
        graph, observer_spec("minmax"), frozenset(), [x], placement=replace(placement, quantizer=quantizer)
    ), x[:4]
