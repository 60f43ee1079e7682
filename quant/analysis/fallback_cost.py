"""Which layers of an int8 network stayed in float, why, and what each costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import fx

from quant.graph.fallback_units import Unit, units
from quant.graph.latency_model import added_milliseconds
from quant.lower.delegation import float_fallbacks


@dataclass(frozen=True, kw_only=True, slots=True)
class FloatLayer:
    """A layer that computes in float between int8 ones."""

    layer: str
    """Module, such as `stages.1.0.expand`."""
    reason: str
    """Who decided so."""
    added_ms: float
    """Latency beyond the same layer in int8, conversions on both sides included, estimated. Neighbours share
    conversions: together they add less than their sum."""

    def to_json(self) -> dict[str, Any]:
        """Of the object that `--json` prints."""
        return {**asdict(self), "added_ms": round(self.added_ms, 4)}


def float_layers(reference: fx.GraphModule, converted: fx.GraphModule, *, reason: str) -> tuple[FloatLayer, ...]:
    """List the layers in float, from input to output; none where nothing is quantized.

    Args:
        reference: the float graph.
        converted: the one made from it.
        reason: why any layer is in float.
    """
    floats = set(float_fallbacks(converted))

    def in_float(unit: Unit) -> bool:
        return any(node.name in floats for node in unit.nodes)

    return tuple(
        FloatLayer(layer=unit.name, reason=reason, added_ms=added_milliseconds(reference, [unit]))
        for unit in units(reference)
        if in_float(unit)
    )
