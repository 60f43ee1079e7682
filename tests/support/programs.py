"""Small .pte programs whose answers are known, made without our own quantization and lowering."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from edge_effnet.preprocess import Preprocess
from quant.common.quiet import quiet_libraries

with quiet_libraries():
    from executorch.exir import to_edge

SIZE = 16
PREPROCESS = Preprocess(crop=SIZE, resize=SIZE)

RIGHT = (2, 1, 0)
"""Channel (RGB) that each output reads, so that blue, green and red images are told apart."""
SWAPPED = (1, 2, 0)
"""Takes blue for green and green for blue."""


class ColourNet(nn.Module):
    """Answers with the mean of one colour channel an output."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(3)[:, list(channels)].contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3)) @ self.weight


@cache
def colour_program(channels: tuple[int, ...] = RIGHT, size: int = SIZE) -> bytes:
    """A .pte of `ColourNet`: [1, 3, size, size] -> [1, len(channels)]."""
    with quiet_libraries():
        exported = torch.export.export(ColourNet(channels), (torch.zeros(1, 3, size, size),), strict=True)
        return bytes(to_edge(exported).to_executorch().buffer)
