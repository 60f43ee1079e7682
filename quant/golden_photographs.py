"""Drawn photographs with the pixels, tensors and logits expected of them: what an app is tested with."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from edge_effnet.preprocess import Preprocess
from edge_effnet.samples import draw
from edge_effnet.temporary import scratch_folder
from quant.artifact import GoldenPhotograph
from quant.atomic import explained_writes


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shape:
    """Width and height in parts of the side that photographs are scaled to."""

    name: str
    width: float
    height: float
    alpha: bool = False


_SHAPES = (
    _Shape(name="landscape", width=1.37, height=1.06),
    # Grows on its way to the network.
    _Shape(name="portrait", width=0.62, height=0.9),
    # Its alpha is to be dropped, not blended.
    _Shape(name="alpha", width=1.2, height=1.23, alpha=True),
)


def golden_photographs(
    preprocess: Preprocess, run: Callable[[torch.Tensor], torch.Tensor], *, takes_pixels: bool
) -> list[GoldenPhotograph]:
    """Draw photographs and run them through preprocessing and program.

    Args:
        preprocess: of the network.
        run: gives the program's logits of normalised inputs [n, 3, H, W].
        takes_pixels: whether the program's own input is the pixels.
    """
    found = []
    with scratch_folder() as folder:
        for index, shape in enumerate(_SHAPES):
            path = folder / f"{shape.name}.png"
            with explained_writes(path):
                path.write_bytes(_draw(shape, index, preprocess.resize))
            pixels = preprocess.pixels(path)
            x = preprocess.normalize(pixels)
            own = torch.from_numpy(pixels)
            found.append(
                GoldenPhotograph(
                    name=path.name,
                    png=path.read_bytes(),
                    pixels=own,
                    input=own if takes_pixels else x,
                    output=run(x[None])[0],
                )
            )
    return found


def _draw(shape: _Shape, index: int, side: int) -> bytes:
    width, height = max(8, round(shape.width * side)), max(8, round(shape.height * side))
    drawn, _ = draw("val", index, 256)
    image = Image.fromarray(drawn).resize((width, height))
    if shape.alpha:
        ramp = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(height, axis=0)
        image.putalpha(Image.fromarray(ramp))
    with io.BytesIO() as file:
        image.save(file, format="PNG")
        return file.getvalue()
