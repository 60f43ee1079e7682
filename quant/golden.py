"""Golden pairs: a few photographs' inputs and the outputs that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import Preprocess
from quant.artifact import Golden
from quant.data import Photo
from quant.tolerances import GOLDEN_COUNT


def golden_rows(photographs: int) -> list[int]:
    """Indices of the golden ones, spread evenly."""
    return list(range(0, photographs, max(1, photographs // GOLDEN_COUNT)))[:GOLDEN_COUNT]


def golden_pairs(
    photos: Sequence[Photo],
    preprocess: Preprocess,
    outputs: Callable[[torch.Tensor, list[int]], torch.Tensor],
    float_outputs: Callable[[torch.Tensor], torch.Tensor],
    *,
    takes_pixels: bool = False,
) -> list[Golden]:
    """Pair inputs with outputs.

    Args:
        photos: the evaluation photographs.
        preprocess: to inputs.
        outputs: gives the outputs of inputs [n, 3, H, W] that are the photographs of given indices.
        float_outputs: likewise, of the float network's program.
        takes_pixels: whether the program's own input is the pixels.
    """
    rows = golden_rows(len(photos))
    with quiet_pillow():
        inputs = torch.stack([preprocess(photos[i].path) for i in rows])
    own = preprocess.to_pixels(inputs) if takes_pixels else inputs
    found = zip(rows, own, outputs(inputs, rows), float_outputs(inputs), strict=True)
    return [Golden(photograph=photos[i].name, input=x, output=y, float_output=z) for i, x, y, z in found]
