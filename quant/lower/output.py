"""What a program puts out: logits, or what softmax or sigmoid makes of them; in float32 or int8.

Verdicts compare logits whatever comes out. Probabilities are turned back: of softmax that leaves one number a row
open, so rows are compared around their mean; of sigmoid, float32 cannot tell logits beyond +-`_REACH` apart.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx

from edge_effnet.errors import InputError
from quant.common.quiet import quiet_libraries
from quant.graph.qdq import DEQUANTIZE, QMAX, QMIN, QUANTIZE, TensorScale, tensor_scale

aten = torch.ops.aten

LOGITS, SOFTMAX, SIGMOID = "logits", "softmax", "sigmoid"
KINDS = (LOGITS, SOFTMAX, SIGMOID)

_REACH = 12.0
_LEAST = 1e-37  # float32's smallest normal number, about

_PROBABILITY = TensorScale(scale=1 / 256, zero_point=QMIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Of a program."""

    kind: str = LOGITS
    """One of `KINDS`."""
    int8: bool = False
    scale: TensorScale | None = None
    """Of an int8 output, once it is lowered."""

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read what `--output` takes: KIND or KIND:int8.

        Raises:
            InputError: something else.
        """
        kind, _, dtype = text.partition(":")
        if kind not in KINDS or dtype not in ("", "float32", "int8"):
            raise InputError(
                f"--output {text}: need one of {', '.join(KINDS)}, with :int8 behind it for an int8 output."
            )
        return cls(kind=kind, int8=dtype == "int8")

    @classmethod
    def of_manifest(cls, tensor: Mapping[str, Any]) -> Output:
        """Read the entry `output` of a manifest."""
        int8 = tensor["dtype"] == "int8"
        scale = TensorScale(scale=tensor["scale"], zero_point=tensor["zero_point"]) if int8 else None
        return cls(kind=tensor.get("kind", LOGITS), int8=int8, scale=scale)

    def to_manifest(self) -> dict[str, Any]:
        """Inverse of `of_manifest`, without the shape."""
        scale = self.scale
        numbers = {} if scale is None else {"scale": scale.scale, "zero_point": scale.zero_point}
        kind = {} if self.kind == LOGITS else {"kind": self.kind}
        return {"dtype": "float32" if scale is None else "int8", "layout": "NC", **kind, **numbers}

    def __str__(self) -> str:
        """As `--output` takes it."""
        return f"{self.kind}:int8" if self.int8 else self.kind

    def values(self, logits: torch.Tensor) -> torch.Tensor:
        """What a float program of this kind makes of logits, [N, classes]."""
        return _FORWARD[self.kind](logits)

    def compared(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits as `logits_of` gives them back."""
        return _COMPARED[self.kind](logits)

    def logits_of(self, values: torch.Tensor) -> torch.Tensor:
        """What a verdict compares, of the numbers that a program put out, [N, classes] float32."""
        if self.scale is not None:
            values = (values - self.scale.zero_point) * self.scale.scale
        return self.compared(_INVERSE[self.kind](values))


_Function = Callable[[torch.Tensor], torch.Tensor]

_FORWARD: dict[str, _Function] = {LOGITS: lambda x: x, SOFTMAX: lambda x: x.softmax(dim=-1), SIGMOID: torch.sigmoid}
_INVERSE: dict[str, _Function] = {
    LOGITS: lambda x: x,
    SOFTMAX: lambda p: p.clamp_min(_LEAST).log(),
    SIGMOID: lambda p: torch.logit(p.double(), eps=1e-6).float(),
}
_COMPARED: dict[str, _Function] = {
    LOGITS: lambda x: x,
    SOFTMAX: lambda x: x - x.mean(dim=-1, keepdim=True),
    SIGMOID: lambda x: x.clamp(-_REACH, _REACH),
}


def with_output(graph_module: fx.GraphModule, output: Output) -> tuple[fx.GraphModule, Output]:
    """Return a copy of a graph of logits with what a program puts out at its end, and the output with its scale.

    An int8 output of an int8 graph is left behind a dq, which the lowering drops.
    """
    if output == Output():
        return graph_module, output
    with quiet_libraries():
        result = copy.deepcopy(graph_module)
    graph = result.graph
    end = next(node for node in graph.nodes if node.op == "output")
    (last,) = end.all_input_nodes
    with graph.inserting_before(end):
        found = last
        if output.kind != LOGITS:
            softmax = output.kind == SOFTMAX
            args = (last, -1) if softmax else (last,)
            found = graph.call_function(aten.softmax.int if softmax else aten.sigmoid.default, args)
            found.meta = {"val": last.meta["val"]} if "val" in last.meta else {}
        if output.int8 and found.target is not DEQUANTIZE:
            limits = (_PROBABILITY.scale, _PROBABILITY.zero_point, QMIN, QMAX, torch.int8)
            quantized = graph.call_function(QUANTIZE, (found, *limits))
            found = graph.call_function(DEQUANTIZE, (quantized, *limits))
    end.replace_input_with(last, found)
    result.recompile()
    return result, replace(output, scale=tensor_scale(found) if output.int8 else None)
