"""What a quantized network has to hold against its float one."""

from __future__ import annotations

from dataclasses import dataclass

from quant.tolerances import SHARE_ROUNDING


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Bounds that a search works towards."""

    min_agreement: float
    """Share of the photographs that keep their class, 0..1."""
    max_drop: float
    """Top-1 that may be lost, points; without labels the share that changes class bounds it."""

    def met(self, agreement: float, drop: float) -> bool:
        """Whether figures are good enough."""
        return agreement >= self.min_agreement - SHARE_ROUNDING and drop <= self.max_drop + SHARE_ROUNDING
