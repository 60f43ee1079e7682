"""What every program of a run shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx

from quant.data.perceptual_hash import Calibrated
from quant.data.split import ImageRecord
from quant.graph.footprint import Footprint
from quant.lower.result import LoweredProgram
from quant.pipeline.load import Loaded
from quant.pipeline.request import Request


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """The request, the network, and what it is compared with."""

    request: Request
    network: Loaded
    original: fx.GraphModule
    """The float network that programs are judged against."""
    float_program: LoweredProgram
    """Its own."""
    footprint: Footprint
    calibrated: Calibrated
    """The images that ranges were fitted on, as they look."""
    notes: tuple[str, ...]

    @property
    def images(self) -> Sequence[ImageRecord]:
        """Those that programs are judged on."""
        return self.network.split.evaluation
