"""Whatever Python keeps images and labels in, one image at a time: arrays, lists, iterables, datasets, loaders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

_IMAGE_KEYS = ("image", "images", "img", "pixel_values", "x", "inputs", "data")
_LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class")
"""Of dicts, preferred first: Hugging Face's datasets, npz files, loaders with a collate function of their own."""

_OF_A_BATCH = 4
"""Dimensions."""

_MOST_COLOURS = 4

_IMAGES = (Image.Image, np.ndarray, torch.Tensor, str, Path)


@dataclass(frozen=True, slots=True)
class GivenImage:
    """One image as it was handed over."""

    image: Any
    """A PIL image, a path, an array or a tensor."""
    label: Any
    """None without one."""


def images_of(given: Any, labels: Any = None) -> Iterator[GivenImage]:
    """Yield every image once, in its order.

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
        yield from (GivenImage(image, None) for image in given)
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


def _paired(images: Any, labels: Any) -> Iterator[GivenImage]:
    if isinstance(images, Iterator) or not hasattr(images, "__len__") or not hasattr(labels, "__len__"):
        raise InputError("labels: go with an array or a list of images, one each; an iterable yields (image, label).")
    if len(images) != len(labels):
        raise InputError(f"labels: {len(labels)} for {len(images)} images; need one each.")
    yield from (GivenImage(image, label) for image, label in zip(images, labels, strict=True))


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


def _unpacked(element: Any) -> Iterator[GivenImage]:
    label = None
    if isinstance(element, Mapping):
        element, label = _of_mapping(element, None)
    elif isinstance(element, tuple | list) and element and isinstance(element[0], _IMAGES):
        element, label = element[0], element[1] if len(element) > 1 else None
    if isinstance(element, np.ndarray | torch.Tensor) and element.ndim == _OF_A_BATCH:
        yield from _paired(element, [None] * len(element) if label is None else label)
    else:
        yield GivenImage(element, label)
