"""What training and validation read: `LabelledImages`, and class folders of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.images import open_rgb
from quant.data.listing import Listed, list_images


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled image, before it is decoded."""

    number: int
    """Its own in its set, the same in every run: augmentation is seeded with it."""
    label: int
    """Class index."""
    data: bytes = b""
    """The encoded picture, where it came with a stream."""
    name: str = ""
    """Of its file or sample, for messages."""


class LabelledImages(Protocol):
    """A set of images with class indices."""

    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """Images in the set."""

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every image once: shuffled by seed and epoch, or in their own order without a seed."""

    def image(self, item: Item) -> Image.Image:
        """Return one picture, RGB, of any size.

        Raises:
            InputError: it cannot be read.
        """


class ListedImages:
    """Files of images with the names of their classes."""

    def __init__(self, images: Sequence[Listed], class_names: Sequence[str]) -> None:
        """Take images that have a class each, all of them of `class_names`."""
        self.class_names = tuple(class_names)
        self._paths = [p.path for p in images]
        index = {name: i for i, name in enumerate(self.class_names)}
        self._labels = [index[p.class_name] for p in images if p.class_name is not None]

    def __len__(self) -> int:
        """Images of all classes."""
        return len(self._paths)

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every image once."""
        for number in ordered(len(self), seed=seed, epoch=epoch):
            yield Item(number, self._labels[number], name=str(self._paths[number]))

    def image(self, item: Item) -> Image.Image:
        """Decode one image."""
        return open_rgb(self._paths[item.number])


class FolderImages(ListedImages):
    """Class folders of images."""

    def __init__(self, root: Path, class_names: Sequence[str] | None = None) -> None:
        """List them; the sorted folder names are the classes, and must be `class_names` where given.

        Raises:
            InputError: no images, no class folders, an empty class, a class whose name is no line of text, or
                other classes than expected.
        """
        images = list_images(root, root.parent)
        names = tuple(sorted({p.class_name for p in images if p.class_name is not None}))
        if not names:
            raise InputError(f"{root}: images without class folders; make one for each class.")
        require_class_names(names, root)
        if class_names is not None:
            require_classes(root, names, class_names)
        super().__init__(images, class_names or names)


def ordered(images: int, *, seed: int | None, epoch: int) -> list[int]:
    """Return the indices of a set in the order of `LabelledImages.items`: shuffled where there is a seed."""
    if seed is None:
        return list(range(images))
    shuffled: list[int] = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(images).tolist()
    return shuffled


def require_classes(where: Path, found: Sequence[str], expected: Sequence[str]) -> None:
    """Compare class names.

    Raises:
        InputError: they differ; the message lists how.
    """
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        parts = [f"lacks {', '.join(missing[:5])}"] if missing else []
        parts += [f"has {', '.join(unknown[:5])} besides"] if unknown else []
        raise InputError(
            f"{where}: not the {len(expected)} classes that are trained: it {' and '.join(parts)}; train/, "
            "val/ and the weights have to have the same classes."
        )
