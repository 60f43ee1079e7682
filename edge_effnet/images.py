"""Reading photographs that people really have: any mode, any orientation; broken ones are named."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edge_effnet.errors import InputError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""What is decoded, whatever a file's name says: Pillow knows forty more, and hands some to other programs (EPS)."""

# Below this a file is an icon or a damaged download; its upscaled blur would only distort the figures.
MIN_SIDE = 8

_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings inside the block: it warns from 89 megapixels, and today's phones take 108.

    For the thread that starts the decoding ones: they must not do it themselves, since Python's warning filters
    belong to all threads. What Pillow refuses (from 179 megapixels on) stays refused.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def open_rgb(path: Path) -> Image.Image:
    """Decode one photograph as upright 8-bit RGB.

    Grayscale, palette and CMYK are converted. Of 16 bits the upper 8 count, as libpng and Pillow do it for colours
    (grays Pillow alone would clip to white). Alpha is dropped as torchvision's loader drops it. The EXIF orientation
    is applied: phones store photographs lying on their side. Of an animation the first frame counts.

    Raises:
        InputError: not an image, truncated, smaller than `MIN_SIDE`, beyond Pillow's decompression-bomb limit
            (about 179 megapixels), or of floating-point pixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if min(image.size) < MIN_SIDE:
                raise InputError(
                    f"{path}: {image.width}x{image.height} pixels is too small to be a photograph "
                    f"(at least {MIN_SIDE} a side); remove it."
                )
            if image.mode == "F":
                raise InputError(f"{path}: floating-point pixels have no known white; save it with 8 or 16 bits.")
            image.load()
            return _as_rgb(ImageOps.exif_transpose(image))
    except (InputError, MemoryError, Warning):
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: more pixels than a photograph has ({error}); scale it down.") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not an image, whatever its name says; replace or remove it.") from error
    except Exception as error:  # a broken file fails in whichever decoder meets it, with whatever that raises
        raise InputError(f"{path}: not a readable image ({error}); replace or remove it.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values.clip(0, 65535) // 256).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # straight to RGB, Pillow warns about the palette's transparency
    return image.convert("RGB")
