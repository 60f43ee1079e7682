"""How much of the decoding of images hides behind the network that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from calibration_speed import seconds_of

from edge_effnet.fuse import fold_for_inference
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from quant.data.batches import iterate_batches


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Seconds over the same images."""

    images: int
    decode_s: float
    network_s: float
    together_s: float

    @property
    def hidden(self) -> float:
        """Share of the decoding that cost no time beside the network, 0..1."""
        return max(0.0, min(1.0, (self.decode_s + self.network_s - self.together_s) / self.decode_s))

    def cells(self) -> list[str]:
        """Row of the table."""
        seconds = (self.decode_s, self.network_s, self.together_s)
        return [str(self.images), *(f"{value:.2f}" for value in seconds), f"{100 * self.hidden:.0f}"]


def measure_decoding(model: EfficientNet, paths: Sequence[Path], preprocess: Preprocess, turns: int) -> Decoding:
    """Time decoding alone, the network alone, and both as `quantize` runs them; the least of several runs."""
    folded = fold_for_inference(model.eval(), preprocess.crop)
    batches: list[torch.Tensor] = []

    def decode() -> None:
        batches[:] = iterate_batches(paths, preprocess)

    def network() -> None:
        with torch.no_grad():
            for batch in batches:
                folded(batch)

    def together() -> None:
        with torch.no_grad():
            for batch in iterate_batches(paths, preprocess):
                folded(batch)

    rounds = [[seconds_of(work) for work in (decode, network, together)] for _ in range(turns)]
    decode_s, network_s, together_s = (min(seconds) for seconds in zip(*rounds, strict=True))
    return Decoding(images=len(paths), decode_s=decode_s, network_s=network_s, together_s=together_s)
