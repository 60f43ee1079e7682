"""Small pictures of the images that changed class, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from edge_effnet.images import quiet_pillow
from edge_effnet.preprocess import RGB, Preprocess
from quant.data.split import ImageRecord
from quant.thresholds import REPORT_FLIPS, REPORT_THUMBNAIL_BYTES, REPORT_THUMBNAIL_SIDE
from quant.verdict.flips import Flip

_JPEG_QUALITY = 72


def shown_flips(flips: Sequence[Flip]) -> tuple[Flip, ...]:
    """Choose those that a report shows: what float was right and sure about comes first."""
    return tuple(sorted(flips, key=lambda flip: (flip.label != flip.float_class, -(flip.float_probability or 0.0))))[
        :REPORT_FLIPS
    ]


def thumbnails(flips: Sequence[Flip], images: Sequence[ImageRecord], preprocess: Preprocess) -> dict[str, str]:
    """Draw the images as the network sees them, until their allowance is used up.

    Args:
        flips: to be shown, in their order.
        images: where their files are; those that are not among them get no picture.
        preprocess: cuts them as the network sees them.

    Returns:
        `data:image/jpeg;base64,...` by the image's name.

    Raises:
        InputError: an image that cannot be read, named.
    """
    files = {image.name: image.path for image in images}
    wanted = [flip.image for flip in flips if flip.image in files]
    with quiet_pillow():
        return _within_allowance(wanted, lambda name: _jpeg(preprocess.picture(files[name])))


def _within_allowance(names: Sequence[str], draw: Callable[[str], bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    left = REPORT_THUMBNAIL_BYTES
    for name in names:
        data = draw(name)
        left -= len(data)
        if left < 0:
            break
        found[name] = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return found


def _jpeg(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, C] -> a small JPEG; of an array's channels the first three, of two or one the first."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :RGB] if pixels.shape[2] >= RGB else pixels[..., 0]))
    image.thumbnail((REPORT_THUMBNAIL_SIDE, REPORT_THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=_JPEG_QUALITY, optimize=True)
    return file.getvalue()
