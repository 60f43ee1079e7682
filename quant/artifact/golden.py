"""Golden inputs and outputs: evaluation images, and pictures drawn by code that may be passed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from edge_effnet.images import quiet_pillow
from edge_effnet.io.files import scratch_folder
from edge_effnet.preprocess import GRAY, RGB, Preprocess
from edge_effnet.samples import draw
from quant.artifact.model import Golden, GoldenImage
from quant.common.atomic_io import explained_writes
from quant.data.split import ImageRecord
from quant.thresholds import GOLDEN_COUNT


def golden_rows(images: int) -> list[int]:
    """Indices of the golden ones, spread evenly."""
    return list(range(0, images, max(1, images // GOLDEN_COUNT)))[:GOLDEN_COUNT]


def golden_pairs(
    images: Sequence[ImageRecord],
    preprocess: Preprocess,
    outputs: Callable[[torch.Tensor, list[int]], torch.Tensor],
    float_outputs: Callable[[torch.Tensor], torch.Tensor],
    *,
    takes_pixels: bool = False,
) -> list[Golden]:
    """Pair inputs with outputs.

    Args:
        images: the evaluation images.
        preprocess: to inputs.
        outputs: gives the outputs of inputs [n, C, H, W] that are the images of given indices.
        float_outputs: likewise, of the float network's program.
        takes_pixels: whether the program's own input is the pixels.
    """
    rows = golden_rows(len(images))
    with quiet_pillow():
        inputs = torch.stack([preprocess(images[i].path) for i in rows])
    own = preprocess.to_pixels(inputs) if takes_pixels else inputs
    found = zip(rows, own, outputs(inputs, rows), float_outputs(inputs), strict=True)
    return [Golden(image=images[i].name, input=x, output=y, float_output=z) for i, x, y, z in found]


_SHAPES = {
    "landscape": (1.37, 1.06),
    # Grows on its way to the network.
    "portrait": (0.62, 0.9),
    # Its alpha is to be dropped, not blended.
    "alpha": (1.2, 1.23),
}
"""Width and height in parts of the side that images are scaled to."""


def golden_images(
    preprocess: Preprocess, run: Callable[[torch.Tensor], torch.Tensor], *, takes_pixels: bool
) -> list[GoldenImage]:
    """Draw images and run them through preprocessing and program; none where the network takes arrays.

    Args:
        preprocess: of the network.
        run: gives the program's logits of normalised inputs [n, C, H, W].
        takes_pixels: whether the program's own input is the pixels.
    """
    found: list[GoldenImage] = []
    if preprocess.channels not in (GRAY, RGB) or preprocess.takes_tensors:
        return found
    with scratch_folder() as folder:
        for index, name in enumerate(_SHAPES):
            path = folder / f"{name}.png"
            with explained_writes(path):
                _drawn(name, index, preprocess).save(path)
            pixels = preprocess.pixels(path)
            x, own = preprocess.normalize(pixels), torch.from_numpy(pixels)
            given = own if takes_pixels else x
            output = run(x[None])[0]
            found.append(GoldenImage(name=path.name, png=path.read_bytes(), pixels=own, input=given, output=output))
    return found


def _drawn(name: str, index: int, preprocess: Preprocess) -> Image.Image:
    width = height = preprocess.resize
    if preprocess.resize_mode != "none":
        width, height = (max(8, round(part * preprocess.resize)) for part in _SHAPES[name])
    drawn, _ = draw("val", index, 256)
    image = Image.fromarray(drawn).resize((width, height))
    if name == "alpha":
        ramp = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(height, axis=0)
        image.putalpha(Image.fromarray(ramp))
    return image
