"""How fast calibration reads images, against plain eager inference of the same batches.

Calibration is what collects statistics from images: the passes that choose the loss-aware ranges, forward over
all of them, forward and backward over some (`quant/ptq/ranges.py`). Plain is the folded float network, called in
eager mode without gradients. Both read the same decoded batches, interleaved.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from edge_effnet.fuse import fold_for_inference
from edge_effnet.model import EfficientNet
from quant.graph.export import export_graph
from quant.ptq.quantizers import activations_of
from quant.ptq.ranges import find_ranges


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Images a second, by run."""

    plain: tuple[float, ...]
    calibration: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Calibration's rate as a share of plain inference's, by run."""
        return tuple(c / p for c, p in zip(self.calibration, self.plain, strict=True))

    def cells(self) -> list[str]:
        """Rates and their ratio, each a median, and the ratio's smallest and largest run."""
        medians = [statistics.median(values) for values in (self.plain, self.calibration)]
        return [
            *(f"{value:.1f}" for value in medians),
            f"{statistics.median(self.ratios):.2f}",
            f"{min(self.ratios):.2f}-{max(self.ratios):.2f}",
        ]


def measure_speed(model: EfficientNet, batches: Sequence[torch.Tensor], turns: int) -> Speed:
    """Time both interleaved, after one run to warm up."""
    folded = fold_for_inference(model.eval(), batches[0].shape[-1])
    graph = export_graph(folded, batches[0].shape[-1])
    names = activations_of(graph, frozenset())

    def plain() -> None:
        with torch.no_grad():
            for batch in batches:
                folded(batch)

    def calibration() -> None:
        find_ranges(graph, names, batches, seed=0)

    count = sum(len(batch) for batch in batches)
    times = [(seconds_of(plain), seconds_of(calibration)) for _ in range(1 + turns)][1:]
    return Speed(plain=tuple(count / p for p, _ in times), calibration=tuple(count / c for _, c in times))


def seconds_of(work: Callable[[], None]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
