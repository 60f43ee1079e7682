"""The images of a split as what the training loop reads."""

from __future__ import annotations

from collections.abc import Sequence

from quant.data.readers.labelled import ListedImages
from quant.data.split import ImageRecord

UNLABELLED = -1


class SplitImages(ListedImages):
    """Training images, with class indices or `UNLABELLED`."""

    def __init__(self, images: Sequence[ImageRecord], class_names: Sequence[str]) -> None:
        """Take them as they are listed."""
        self.class_names = tuple(class_names)
        self._paths = [image.path for image in images]
        self._labels = [UNLABELLED if image.label is None else image.label for image in images]
