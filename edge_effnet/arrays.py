"""Images of more channels than a colour photograph has, as numpy arrays: `.npy`, `.npz`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_effnet.errors import InputError
from edge_effnet.images import MAX_FILE_BYTES, MIN_SIDE
from edge_effnet.io.files import open_given
from edge_effnet.io.text import brief

ARRAY_SUFFIXES = frozenset({".npy", ".npz"})


def read_array(path: Path, channels: int) -> np.ndarray:
    """Read an image from an array [H, W, C] or [C, H, W], or [H, W] for one channel.

    Of 16 bits the upper 8 count; floating-point numbers have to lie between 0 and 1.

    Returns:
        uint8 [H, W, channels].

    Raises:
        InputError: no such array, or one of another shape or type.
    """
    array = _array_in(path)
    if array.ndim == 2 and channels == 1:
        array = array[..., None]
    if array.ndim == 3 and array.shape[2] != channels and array.shape[0] == channels:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != channels or min(array.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"{path}: an array of shape {brief(list(array.shape))}; the network takes {channels} channels: need "
            f"[height, width, {channels}] with at least {MIN_SIDE} pixels a side."
        )
    convert = _TO_LEVELS.get(str(array.dtype))
    if convert is None:
        raise InputError(f"{path}: an array of {array.dtype}; need one of {', '.join(_TO_LEVELS)}.")
    try:
        return np.ascontiguousarray(convert(array))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def read_tensor(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read a network input.

    Returns:
        float32 [C, H, W].

    Raises:
        InputError: no such array, or one of another shape or type.
    """
    array = _array_in(path)
    if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
        raise InputError(
            f"{path}: {array.dtype} {list(array.shape)}; need the network's input, finite float32 {list(shape)}."
        )
    return array


def read_stacks(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a `.npz`, or the one of a `.npy`, under the name `images`.

    Raises:
        InputError: no such file, or one that is damaged or holds Python objects.
    """
    with open_given(path, limit=None) as file:
        try:
            return _arrays_of(file)
        except Exception as error:  # as in _array_in
            raise InputError(
                f"{path}: not a readable file of arrays ({brief(error)}); save it with numpy.savez(PATH, images=..., "
                "labels=...)."
            ) from error


def _array_in(path: Path) -> np.ndarray:
    """The one array of a file."""
    with open_given(path, limit=MAX_FILE_BYTES) as file:
        # A broken file fails wherever numpy or zipfile meets it, with whatever that raises.
        try:
            (array,) = _arrays_of(file).values()
        except Exception as error:
            raise InputError(f"{path}: not a readable array ({brief(error)}); save it with numpy.save.") from error
        return array


def _arrays_of(file: BinaryIO) -> dict[str, np.ndarray]:
    """Arrays by name; one that is alone in its file is `images`. Python objects are refused."""
    loaded = np.load(file, allow_pickle=False)
    return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"images": loaded}


def _of_unit(array: np.ndarray) -> np.ndarray:
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise ValueError("floating-point numbers beyond 0 to 1; scale them, or save whole numbers of 8 or 16 bits.")
    levels: np.ndarray = np.rint(array * 255).astype(np.uint8)
    return levels


_TO_LEVELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint8": lambda array: array,
    "uint16": lambda array: (array >> 8).astype(np.uint8),
    "float32": _of_unit,
    "float64": _of_unit,
}
