"""One operator of an exported graph, computed here and now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

aten = torch.ops.aten


class PlainInterpreter(fx.Interpreter):
    """fx's interpreter without what it keeps for error messages, which takes as long as a small image's operators."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one node (fx's protocol)."""
        return compute(n, self.env.__getitem__) if n.op == "call_function" else super().run_node(n)


def compute(node: fx.Node, value_of: Callable[[fx.Node], Any]) -> Any:
    """Give what a `call_function` node gives.

    Args:
        node: whose function is called.
        value_of: gives what a node that it reads gave.
    """
    function: Any = convolve if node.target is aten.conv2d.default else node.target
    args: Any = fx.map_arg(node.args, value_of)
    kwargs: Any = fx.map_arg(node.kwargs, value_of)
    return function(*args, **kwargs)


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """Convolve as `F.conv2d` does, by oneDNN where that is faster on one thread.

    torch leaves 1x1 filters over few images to BLAS there, and MKL's takes twice oneDNN's time on AMD
    (docs/lab/wait.md). Dilated filters are oneDNN's, and one of a single tap is the same at any dilation.
    """
    if weight.shape[2:] == (1, 1) and x.shape[0] > 1 and x.shape[2:] != (1, 1):
        dilation = 2
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
