"""Decoding images of others: upright 8-bit RGB, or one sentence."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edge_effnet.errors import InputError
from edge_effnet.io.files import open_given

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
    | {".heic", ".heif", ".avif"}
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded, whatever a file's name says: Pillow knows forty more, and hands some to other programs (EPS)."""

_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heif", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIF"),
}
"""Formats of one container by its brand; Pillow reads the second kind with a plugin."""

# Below this a file is an icon or a damaged download; its upscaled blur would only distort the figures.
MIN_SIDE = 8

MAX_FILE_BYTES = 1 << 30
"""The largest images that are decoded have half of it, uncompressed."""

_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I"})

_STRIP_PIXELS = 1 << 20

# Pillow keeps four bytes a pixel, twice while it converts (of WebP four times): two of 179 megapixels are some 3 GB.
_LARGE_PIXELS = 32 * 1024 * 1024
_one_large_image = threading.Lock()


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
    """Decode one image as upright 8-bit RGB; see `decode_rgb`.

    Raises:
        InputError: as `decode_rgb`; no regular file, or one of more than `MAX_FILE_BYTES`.
    """
    with open_given(path, limit=MAX_FILE_BYTES) as file:
        return decode_rgb(file, str(path))


def decode_rgb(file: BinaryIO, name: str) -> Image.Image:
    """Decode one image as upright 8-bit RGB.

    Grayscale, palette and CMYK are converted. Of 16 bits the upper 8 count, as libpng and Pillow do it for colours
    (grays Pillow alone would clip to white). Alpha is dropped as torchvision's loader drops it. The EXIF orientation
    is applied: phones store images lying on their side. Of an animation the first frame counts.

    Args:
        file: the encoded image.
        name: for messages.

    Raises:
        InputError: not an image, truncated, smaller than `MIN_SIDE`, beyond Pillow's decompression-bomb limit
            (about 179 megapixels), or of floating-point pixels.
    """
    with _opened(file, name) as image:
        _require_usable(image, name)
        with _one_large_image if image.width * image.height > _LARGE_PIXELS else nullcontext():
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _as_rgb(image)


def require_readable(path: Path) -> None:
    """Decode an image as far as it takes to know that `open_rgb` can; JPEG scaled down, in a third of the time.

    Raises:
        InputError: as `open_rgb`.
    """
    with open_given(path, limit=MAX_FILE_BYTES) as file, _opened(file, str(path)) as image:
        _require_usable(image, str(path))
        image.draft("RGB", (1, 1))
        with _one_large_image if image.width * image.height > _LARGE_PIXELS else nullcontext():
            image.load()


def image_format(file: BinaryIO, name: str) -> str:
    """Return which of `FORMATS` a file holds, in lower case, by its first bytes.

    Raises:
        InputError: none of them, or too damaged to tell.
    """
    with _opened(file, name) as image:
        return str(image.format).lower()


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    """An image whose header was read, and whose later troubles are explained; see `decode_rgb`."""
    with _explained(name):
        head = file.read(12)
        file.seek(0)
        contained = _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
        if contained == "HEIF" and not _heif_reads():
            raise InputError(f"{name}: a HEIC image, which needs pillow-heif; pip install 'edge-effnet[heif]'.")
        with Image.open(file, formats=FORMATS if contained is None else (contained,)) as image:
            yield image


def _require_usable(image: Image.Image, name: str) -> None:
    if min(image.size) < MIN_SIDE:
        raise InputError(
            f"{name}: {image.width}x{image.height} pixels is too small to be an image "
            f"(at least {MIN_SIDE} a side); remove it."
        )
    if image.mode == "F":
        raise InputError(f"{name}: floating-point pixels have no known white; save it with 8 or 16 bits.")


@cache
def _heif_reads() -> bool:
    try:
        import pillow_heif  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one sentence."""
    try:
        yield
    except (InputError, MemoryError, Warning):
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: more pixels than an image has ({error}); scale it down.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{name}: not an image, whatever its name says; replace or remove it.") from error
    except Exception as error:  # a broken file fails in whichever decoder meets it, with whatever that raises
        raise InputError(f"{name}: not a readable image ({error}); replace or remove it.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        return _upper_bits(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # straight to RGB, Pillow warns about the palette's transparency
    return image.convert("RGB")


def _upper_bits(image: Image.Image) -> Image.Image:
    """Grays of 16 bits as RGB of their upper 8, by strips: NumPy's copies of the whole would be larger than it."""
    rgb = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        values = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        upper = (values.clip(0, 65535) // 256).astype(np.uint8)
        rgb.paste(Image.fromarray(upper).convert("RGB"), (0, top))
    return rgb
