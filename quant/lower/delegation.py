"""What of a network its backend runs, what is left over and why, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import fx

from quant.graph.qdq import DEQUANTIZE, QUANTIZE, WEIGHTED, elements, is_weight
from quant.lower.result import Leftover, LoweredProgram

aten = torch.ops.aten

_COMPUTES = (*WEIGHTED, aten.add.Tensor, aten.add_.Tensor, aten.mean.dim)


@dataclass(frozen=True, kw_only=True, slots=True)
class Int16:
    """Activations with 16 bits."""

    activations: int
    of: int
    """Activations that are quantized."""
    values: float
    """The values in them, as a share of all of these activations' values, 0..1."""

    def sentence(self) -> str:
        """For the report and the terminal."""
        return f"int16 in {self.activations} of {self.of} activations, {100 * self.values:.0f} % of their values"


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
    int16: Int16 | None = None
    """None where none has."""

    def to_json(self) -> dict[str, Any]:
        """What delegation.json holds."""
        values = asdict(self)
        if self.int16 is None:
            del values["int16"]
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
            int16=Int16(**values["int16"]) if "int16" in values else None,
        )


def report_delegation(program: LoweredProgram, graph_module: fx.GraphModule) -> DelegationReport:
    """Report on a lowered program.

    Args:
        program: from a backend.
        graph_module: what was lowered.
    """
    floats, int16 = float_fallbacks(graph_module), activations_in_16_bits(graph_module)
    return DelegationReport(
        partitions=program.delegation.partitions,
        delegated=program.delegation.delegated,
        leftovers=program.leftovers,
        float_layers=floats,
        facts=program.facts if int16 is None else (int16.sentence(), *program.facts),
        advice=_advice(program, floats),
        int16=int16,
    )


def activations_in_16_bits(graph_module: fx.GraphModule) -> Int16 | None:
    """Count a converted graph's activations, each on the grid that its operator writes; None: none has 16 bits."""
    written = [n for n in graph_module.graph.nodes if n.target is QUANTIZE and n.args[0].target is not DEQUANTIZE]
    wide = [node for node in written if node.args[5] is torch.int16]
    if not wide:
        return None
    values = sum(elements(node.args[0]) for node in wide) / sum(elements(node.args[0]) for node in written)
    return Int16(activations=len(wide), of=len(written), values=round(values, 4))


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
