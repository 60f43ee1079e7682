"""The images of a split as what the training loop reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from edge_effnet.images import open_rgb
from quant.data.readers.labelled import Item, ordered
from quant.data.split import ImageRecord

UNLABELLED = -1


class SplitImages:
    """Training images, with class indices or `UNLABELLED`."""

    def __init__(self, images: Sequence[ImageRecord], class_names: Sequence[str]) -> None:
        """Take them as they are listed."""
        self.class_names = tuple(class_names)
        self._images = images

    def __len__(self) -> int:
        """Images in all."""
        return len(self._images)

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every image once."""
        for number in ordered(len(self), seed=seed, epoch=epoch):
            record = self._images[number]
            yield Item(number, UNLABELLED if record.label is None else record.label, name=str(record.path))

    def image(self, item: Item) -> Image.Image:
        """Decode one image."""
        return open_rgb(self._images[item.number].path)
