"""The photographs of a split as what the training loop reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from edge_effnet.images import open_rgb
from quant.data.readers.labelled import Item, ordered
from quant.data.split import Photo

UNLABELLED = -1


class SplitPhotos:
    """Training photographs, with class indices or `UNLABELLED`."""

    def __init__(self, photos: Sequence[Photo], class_names: Sequence[str]) -> None:
        """Take them as they are listed."""
        self.class_names = tuple(class_names)
        self._photos = photos

    def __len__(self) -> int:
        """Photographs in all."""
        return len(self._photos)

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every photograph once."""
        for number in ordered(len(self), seed=seed, epoch=epoch):
            photo = self._photos[number]
            yield Item(number, UNLABELLED if photo.label is None else photo.label, name=str(photo.path))

    def image(self, item: Item) -> Image.Image:
        """Decode one photograph."""
        return open_rgb(self._photos[item.number].path)
