"""Run `x * sigmoid(x)` as the SiLU that it was before export: one operator less, forward and backward."""

from __future__ import annotations

from typing import Any

from torch import fx
from torch.nn import functional as F

from quant.graph.export import silus_of


class SiluAtOnce(fx.Interpreter):
    """An interpreter of a float graph; what only a SiLU's product reads is not computed, and None."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.sources = {product: x for product, (x, _) in silus_of(module.graph).items()}
        """The node of each SiLU's output -> that of its input."""
        self._skipped = {gate for _, gate in silus_of(module.graph).values() if len(gate.users) == 1}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        if n in self._skipped:
            return None
        source = self.sources.get(n)
        return super().run_node(n) if source is None else F.silu(self.env[source])
