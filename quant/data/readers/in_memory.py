"""Images and labels handed over in Python, whatever holds them, written down once as files that all stages read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from edge_effnet.errors import InputError
from edge_effnet.io.files import foreign
from edge_effnet.io.text import brief
from edge_effnet.preprocess import GRAY, RGB, Preprocess
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress

_YES = 0.5
"""Of an output's 0 or 1."""

_COMPRESSION = 1
"""Of PNG: files live for one run."""

_PICTURES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Pillow's modes that PNG keeps as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What was handed over, as files."""

    labels: tuple[tuple[str, tuple[str, ...]], ...]
    """Name of each image, and what its label says, in words; empty without labels."""
    tensors: bool
    """Whether the files are network inputs rather than images."""


def is_in_memory(data: object) -> bool:
    """Whether images were handed over, rather than the name of a folder."""
    return data is not None and not isinstance(data, str | Path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the network reads, and what its labels are."""

    preprocess: Preprocess
    """Tensors have to be its input."""
    kind: str
    """Of labels, one of `quant.data.readers.label_file.KINDS`."""
    names: tuple[str, ...] | None
    """Of the outputs, where they are known."""


def write_images(
    given: Any, folder: Path, wanted: Wanted, progress: Progress, *, labels: Any = None, what: str = "data"
) -> Written:
    """Write images, given as to `images_of`, into a new folder, in their order and named by it.

    Messages call them by `what`, the argument that they came by.

    Raises:
        InputError: nothing that can be an image, images and tensors mixed, or some without a label.
        MachineError: no room.
    """
    folder.mkdir(parents=True)
    rows, kinds, missing, count = [], set(), 0, 0
    with progress.stage("Taking images", len(given) if hasattr(given, "__len__") else 0) as advance:
        for count, (image, label) in enumerate(images_of(given, labels), start=1):
            where = f"{what}: image {count - 1}"
            found, kind = _usable(image, wanted.preprocess, where)
            kinds.add(kind)
            if len(kinds) > 1:
                raise InputError(f"{where} is {kind}, others are not; hand over one kind.")
            with explained_writes(folder):
                name = _write(found, folder, f"{count - 1:06d}")
            if label is None:
                missing += 1
            else:
                rows.append((name, _words(label, wanted, f"{what}: the label of image {count - 1}")))
            advance(1)
    if not count:
        raise InputError(f"{what}: yields no images; was the generator used up before?")
    if rows and missing:
        raise InputError(f"{what}: {missing} of {count} images have no label; give all of them one, or none.")
    return Written(labels=tuple(rows), tensors=kinds == {_TENSOR})


_TENSOR, _PICTURE = "a preprocessed tensor", "an image"


def _usable(image: Any, preprocess: Preprocess, where: str) -> tuple[Path | Image.Image | np.ndarray, str]:
    """What is written of one image, and its kind: arrays are those that no picture file holds."""
    if isinstance(image, str | Path):
        source = Path(image).expanduser().absolute()
        if not source.is_file():
            raise InputError(f"{where}: {brief(source)} is no file; give paths of images.")
        return source, _PICTURE
    if isinstance(image, Image.Image):
        with foreign(f"{where} cannot be decoded; hand over whole images."):
            image.load()
        return image, _PICTURE
    if not isinstance(image, torch.Tensor | np.ndarray):
        raise InputError(
            f"{where} is a {brief(type(image).__name__)}; need a PIL image, a path, an array [H, W, C] of uint8 or a "
            "preprocessed tensor [C, H, W]."
        )
    array = _array(image) if isinstance(image, torch.Tensor) else image
    if array.dtype == np.uint8:
        return _pixels(array, where), _PICTURE
    side, channels = preprocess.crop, preprocess.channels
    if not np.issubdtype(array.dtype, np.floating) or array.shape != (channels, side, side):
        raise InputError(
            f"{where} is {array.dtype} {list(array.shape)}; need uint8 pixels, or the network's input, preprocessed: "
            f"float32 [{channels}, {side}, {side}] (image_size= says another side)."
        )
    if not np.isfinite(array).all():
        raise InputError(f"{where} has values that are not finite.")
    return array.astype(np.float32), _TENSOR


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Pixels [C, H, W] as [H, W, C]; network inputs in float32."""
    tensor = tensor.detach().cpu()
    if tensor.dtype is torch.uint8 and tensor.ndim == 3:
        tensor = tensor.permute(1, 2, 0)
    array: np.ndarray = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def _pixels(array: np.ndarray, where: str) -> Image.Image | np.ndarray:
    """uint8 [H, W] or [H, W, C] as a picture, unless it has channels that no picture has."""
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(f"{where} is an array {list(array.shape)}; need [H, W] or [H, W, C] of uint8.")
    channels = array.shape[2] if array.ndim == 3 else GRAY
    if channels not in (GRAY, RGB):
        return array
    return Image.fromarray(np.ascontiguousarray(array.reshape(array.shape[:2]) if channels == GRAY else array))


def _write(image: Path | Image.Image | np.ndarray, folder: Path, stem: str) -> str:
    """Link or write one image; returns its file's name."""
    if isinstance(image, Path):
        name = f"{stem}-{image.name}"
        (folder / name).symlink_to(image)
    elif isinstance(image, Image.Image):
        name = f"{stem}.png"
        kept = image if image.mode in _PICTURES else image.convert("RGB")
        kept.save(folder / name, compress_level=_COMPRESSION)
    else:
        name = f"{stem}.npy"
        np.save(folder / name, image)
    return name


def _words(label: Any, wanted: Wanted, where: str) -> tuple[str, ...]:
    """What a label file would say: a class, labels, or numbers."""
    if isinstance(label, torch.Tensor | np.ndarray | np.generic):
        label = label.tolist()
    values, single = label if isinstance(label, list | tuple) else [label], wanted.kind == "class"
    usable = all(isinstance(value, str) or _is_number(value, whole=single) for value in values)
    if not (usable and values) or (single and len(values) > 1):
        needed = "a class's name, or its number from 0" if single else "a number for each output"
        raise InputError(f"{where} is {brief(repr(label))}; need {needed}.")
    if wanted.kind == "labels" and not isinstance(values[0], str):
        names = wanted.names if wanted.names and len(wanted.names) == len(values) else range(len(values))
        return tuple(str(name) for name, value in zip(names, values, strict=True) if value >= _YES)
    return tuple(value if isinstance(value, str) else f"{value:.9g}" for value in values)


def _is_number(value: Any, *, whole: bool) -> bool:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return not whole or (value >= 0 and float(value).is_integer())


_IMAGE_KEYS = ("image", "images", "img", "pixel_values", "x", "inputs", "data")
_LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class")
"""Of dicts, preferred first: Hugging Face's datasets, npz files, loaders with a collate function of their own."""

_OF_A_BATCH = 4
"""Dimensions."""
_MOST_COLOURS = 4

_IMAGES = (Image.Image, np.ndarray, torch.Tensor, str, Path)


def images_of(given: Any, labels: Any = None) -> Iterator[tuple[Any, Any]]:
    """Yield every image (a PIL image, a path, an array or a tensor) once, in its order, with its label or None.

    Args:
        given: an array [N, H, W, C] or tensor [N, C, H, W]; (images, labels); a dict of both; a Dataset, a DataLoader
            or any iterable of images, (image, label) or dicts of these, one by one or in batches.
        labels: of an array or a list of images, one each.

    Raises:
        InputError: something else, or another number of labels than images.
    """
    if isinstance(given, Mapping):
        given, labels = _of_mapping(given, labels)
    elif is_pair_of_arrays(given):
        given, labels = given
    if _is_batch(given) and given.ndim < _OF_A_BATCH and given.shape[-1] <= _MOST_COLOURS:
        raise InputError(f"data: one image {list(given.shape)}; need several, [N, H, W, C].")
    if labels is not None:
        yield from _paired(given, labels)
    elif _is_batch(given):
        yield from ((image, None) for image in given)
    else:
        for element in _elements(given):
            yield from _unpacked(element)


def is_pair_of_arrays(given: Any) -> bool:
    """Whether this is (images, labels) rather than two sets of images."""
    if not (isinstance(given, tuple) and len(given) == 2 and _is_batch(given[0])):
        return False
    second = given[1]
    return not _is_batch(second) and isinstance(second, Sequence | np.ndarray | torch.Tensor)


def _is_batch(value: Any) -> bool:
    return isinstance(value, np.ndarray | torch.Tensor) and value.ndim in (_OF_A_BATCH - 1, _OF_A_BATCH)


def _of_mapping(given: Mapping[Any, Any], labels: Any) -> tuple[Any, Any]:
    image = next((key for key in _IMAGE_KEYS if key in given), None)
    label = next((key for key in _LABEL_KEYS if key in given), None)
    if image is None:
        raise InputError(
            f"data: a dict with {brief(', '.join(map(str, given)) or 'nothing')}; the images go under 'images', "
            "their labels under 'labels'."
        )
    return given[image], given[label] if labels is None and label is not None else labels


def _paired(images: Any, labels: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(images, Iterator) or not hasattr(images, "__len__") or not hasattr(labels, "__len__"):
        raise InputError("labels: go with an array or a list of images, one each; an iterable yields (image, label).")
    if len(images) != len(labels):
        raise InputError(f"labels: {len(labels)} for {len(images)} images; need one each.")
    yield from zip(images, labels, strict=True)


def _elements(given: Any) -> Iterable[Any]:
    """Map-style datasets of torch have a length and indices, and need not stop where the length does."""
    if hasattr(given, "__getitem__") and hasattr(given, "__len__") and not isinstance(given, Sequence):
        return (given[index] for index in range(len(given)))
    if isinstance(given, Iterable):
        return given
    raise InputError(
        f"data: got a {brief(type(given).__name__)}; need a folder, an array [N, H, W, C], or an iterable of images "
        "or (image, label)."
    )


def _unpacked(element: Any) -> Iterator[tuple[Any, Any]]:
    label = None
    if isinstance(element, Mapping):
        element, label = _of_mapping(element, None)
    elif isinstance(element, tuple | list) and element and isinstance(element[0], _IMAGES):
        element, label = element[0], element[1] if len(element) > 1 else None
    if isinstance(element, np.ndarray | torch.Tensor) and element.ndim == _OF_A_BATCH:
        yield from _paired(element, [None] * len(element) if label is None else label)
    else:
        yield element, label
