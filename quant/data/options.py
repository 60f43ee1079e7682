"""How images and labels are read, as the commands take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from quant.data.readers.label_file import LabelFile, read_label_file
from quant.thresholds import UNUSABLE_SHARE


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageOptions:
    """How images and labels are read.

    Raises:
        InputError: no such label file, columns without one, or a number out of range.
    """

    labels: str | Path | None = None
    """A label file beside the images, instead of class folders; see docs/images.md."""
    image_column: str | None = None
    """Header of its column of images, where that is an unusual one."""
    label_column: str | None = None
    """Likewise of labels; several with commas between where an image has several."""
    max_unusable: float = 100 * UNUSABLE_SHARE
    """Images that may be empty or unreadable and are left out, percent."""

    def __post_init__(self) -> None:
        if self.labels is None and (self.image_column or self.label_column):
            raise InputError("--image-column and --label-column are of a label file: add --labels FILE.")
        if self.labels is not None and not Path(self.labels).is_file():
            what = "is a folder" if Path(self.labels).is_dir() else "does not exist"
            raise InputError(f"--labels {self.labels}: {what}; it takes a file with a row for each image.")
        if not 0 <= self.max_unusable <= 100:
            raise InputError(f"--max-unusable {self.max_unusable}: need a percentage from 0 to 100.")

    def read(self, kind: str) -> LabelFile | None:
        """Read the label file, if there is one, for labels of a kind of `KINDS`.

        Raises:
            InputError: as `read_label_file`.
        """
        if self.labels is None:
            return None
        return read_label_file(
            Path(self.labels), kind=kind, image_column=self.image_column, label_column=self.label_column
        )
