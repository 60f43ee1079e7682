"""What of a network its backend runs, what is left over and why, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import fx

from quant.graph.qdq import DEQUANTIZE, QUANTIZE, WEIGHTED, is_weight
from quant.lower.result import Leftover, LoweredProgram

aten = torch.ops.aten

_COMPUTES = (*WEIGHTED, aten.add.Tensor, aten.add_.Tensor, aten.mean.dim)


@dataclass(frozen=True, kw_only=True, slots=True)
class DelegationReport:
    """Of one program."""

    partitions: int
    delegated: int
    """Operators of the network inside delegates; q/dq not counted."""
    leftovers: tuple[Leftover, ...]
    float_layers: tuple[str, ...]
    """Layers of an int8 network that compute in float between a dq and a q."""
    facts: tuple[str, ...]
    """Proved by reading the delegate back."""
    advice: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What delegation.json holds."""
        values = asdict(self)
        return {"islands": values.pop("float_layers"), **values}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> DelegationReport:
        """Inverse of `to_json` (`delegation.schema.json`)."""
        return cls(
            partitions=values["partitions"],
            delegated=values["delegated"],
            leftovers=tuple(Leftover(**row) for row in values["leftovers"]),
            float_layers=tuple(values["islands"]),
            facts=tuple(values["facts"]),
            advice=tuple(values["advice"]),
        )


def report_delegation(program: LoweredProgram, graph_module: fx.GraphModule) -> DelegationReport:
    """Report on a lowered program.

    Args:
        program: from a backend.
        graph_module: what was lowered.
    """
    floats = float_fallbacks(graph_module)
    return DelegationReport(
        partitions=program.delegation.partitions,
        delegated=program.delegation.delegated,
        leftovers=program.leftovers,
        float_layers=floats,
        facts=program.facts,
        advice=_advice(program, floats),
    )


def float_fallbacks(graph_module: fx.GraphModule) -> tuple[str, ...]:
    """Names of the layers that a converted graph computes in float; none for a float graph."""
    nodes = list(graph_module.graph.nodes)
    if not any(node.target is QUANTIZE for node in nodes):
        return ()
    return tuple(node.name for node in nodes if node.target in _COMPUTES and _in_float(node))


def _in_float(node: fx.Node) -> bool:
    if node.target in WEIGHTED:
        return not is_weight(node.args[1])
    source = node.args[0]
    return isinstance(source, fx.Node) and source.target is not DEQUANTIZE


def _advice(program: LoweredProgram, floats: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    partitions, left = program.delegation.partitions, program.delegation.left
    if partitions > 1:
        found.append(
            f"{partitions} delegates copy and convert at {partitions - 1} more borders than one: make the operators "
            "that are left over delegable, or leave their whole neighbourhood to portable kernels."
        )
    if left and partitions:
        names = ", ".join(sorted({leftover.operator for leftover in program.leftovers}))
        found.append(f"For a full delegate replace {names} (`--activation relu6` swaps activations).")
    if left and not partitions:
        found.append("Nothing is delegated: take it as a reference and ship another backend's program.")
    if floats:
        found.append(
            f"{len(floats)} layers compute in float inside the delegate: the recipe's (int8: none), or what "
            "the backend does not run in int8."
        )
    return tuple(found)
