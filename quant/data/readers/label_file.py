"""A file of labels beside the images: CSV, TSV or text, as Kaggle, ILSVRC and Caffe write them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.io.files import open_given
from edge_effnet.io.text import brief
from quant.thresholds import UNUSABLE_SHARE

IMAGE_COLUMNS = ("image", "filename", "file_name", "file", "path", "filepath", "image_path", "img", "image_name",
                 "image_id", "imageid", "img_path", "id", "name")  # fmt: skip
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "tags", "synset", "class_id",
                 "label_id", "breed", "species", "predictionstring", "y")  # fmt: skip
"""In order of preference."""

KINDS = ("class", "labels", "numbers")
"""What a label can be: one class, any number of them, or numbers."""

_FIRST_WORD = "predictionstring"
"""ILSVRC's column: the synset, then boxes."""

_YES, _NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "-1", "false", "no", ""})

_MAX_BYTES = 1 << 30
"""Fifty million images with names of 20 letters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelFile:
    """Rows of a label file."""

    path: Path
    kind: str
    """One of `KINDS`."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Image as it is written there, and its class, its labels, or its numbers."""
    columns: tuple[str, ...] = ()
    """Headers of the columns, where several hold a label or a number each."""


def read_label_file(
    path: Path, *, kind: str = "class", image_column: str | None = None, label_column: str | None = None
) -> LabelFile:
    """Read a label file.

    Args:
        path: comma, tab or semicolon between the columns, or white space (`val_map.txt`); with a header or without.
        kind: one of `KINDS`.
        image_column: header of the column that names images, where it is an unusual one.
        label_column: likewise of labels; several of labels or numbers with commas between.

    Raises:
        InputError: unreadable, a missing column, or rows without an image or a label.
    """
    rows = _rows(path, kind)
    header = [cell.strip().lower() for cell in rows[0]]
    wanted = [] if label_column is None else [label_column] if kind == "class" else label_column.split(",")
    for option, names in (("--image-column", [image_column] if image_column else []), ("--label-column", wanted)):
        for name in names:
            if name.strip().lower() not in header:
                raise InputError(
                    f"{path}: has no column {brief(repr(name.strip()))} ({option}), but {_named(rows[0])}."
                )
    image = _column(header, [image_column] if image_column else IMAGE_COLUMNS)
    labels = [header.index(name.strip().lower()) for name in wanted]
    if not labels and (known := _column(header, LABEL_COLUMNS)) is not None:
        labels = [known]
    # A first row without a number among numbers is a header of other words.
    worded = kind == "numbers" and len(rows) > 1 and not any(map(_FITS[kind], rows[0]))
    headed = image is not None or bool(labels) or worded
    body = rows[1:] if headed else rows
    others = [place for place in range(len(header)) if place != (image or 0)]
    two = len(header) == 2
    if kind == "class":
        others = others if two else []
    elif not (two and kind == "labels"):
        fit = any if two else all  # a column that is the only one may have a mistake in it
        others = [place for place in others if fit(place < len(row) and _FITS[kind](row[place]) for row in body)]
    image, labels = _places(path, rows[0], image, labels, others)
    if not body:
        raise InputError(f"{path}: lists no images; a row is an image and its label.")
    first_word = header[labels[0]] == _FIRST_WORD and headed
    several = tuple(rows[0][place].strip() for place in labels) if headed and len(labels) > 1 else ()
    read = _READ[kind]
    found = []
    for number, row in enumerate(body, start=1):
        cells = [row[place].strip() if place < len(row) else "" for place in (image, *labels)]
        answer = read(cells[1].split()[:1] if first_word else cells[1:], several)
        if not cells[0] or answer is None:
            raise InputError(
                f"{path}: row {number} ({brief(','.join(row))}) has no image or no {_WANTED[kind]}; complete it."
            )
        found.append((cells[0], answer))
    return LabelFile(path=path, kind=kind, rows=tuple(found), columns=several)


def _class(cells: Sequence[str], _names: Sequence[str]) -> tuple[str, ...] | None:
    return (cells[0],) if cells and cells[0] else None


def _labels(cells: Sequence[str], names: Sequence[str]) -> tuple[str, ...] | None:
    """Names in one cell, or the headers of the columns that say yes."""
    if names:
        words = [cell.lower() for cell in cells]
        if any(word not in _YES | _NO for word in words):
            return None
        return tuple(name for name, word in zip(names, words, strict=True) if word in _YES)
    mark = next((mark for mark in "|;," if mark in cells[0]), None)
    return tuple(dict.fromkeys(part.strip() for part in cells[0].split(mark) if part.strip()))


def _numbers(cells: Sequence[str], _names: Sequence[str]) -> tuple[str, ...] | None:
    parts = [part for cell in cells for part in cell.replace(",", " ").replace(";", " ").split()]
    return tuple(parts) if parts and all(_as_number(part) is not None for part in parts) else None


_READ = {"class": _class, "labels": _labels, "numbers": _numbers}
_WANTED = {"class": "label", "labels": "labels", "numbers": "number"}
_FITS: dict[str, Callable[[str], bool]] = {
    "labels": lambda cell: cell.strip().lower() in _YES | _NO,
    "numbers": lambda cell: _as_number(cell) is not None,
}


def _places(
    path: Path, header: Sequence[str], image: int | None, labels: list[int], others: list[int]
) -> tuple[int, list[int]]:
    """The columns of images and of labels: the known places, else what is left; `others` may hold labels.

    Raises:
        InputError: they cannot be told.
    """
    if image is None and not labels and others:
        image = 0
    if image is None and len(header) == 2 and labels:
        image = 1 - labels[0]
    if image is not None and not labels:
        labels = others
    if image is None or not labels:
        missing = "images" if image is None else "labels"
        raise InputError(
            f"{path}: none of its columns ({_named(header)}) is known to hold {missing}; name them: --image-column "
            "NAME --label-column NAME."
        )
    return image, labels


def _rows(path: Path, kind: str) -> list[list[str]]:
    with open_given(path, limit=_MAX_BYTES) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as text ({error}); save it as UTF-8.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: is empty; a row is an image and its label.")
    delimiter = next((mark for mark in "\t,;" if mark in lines[0]), None)
    if delimiter is None:
        # Names of images may have spaces in them; where several columns may follow, nobody can tell.
        rows = [line.rsplit(None, 1) if kind == "class" else line.split() for line in lines]
        if any(len(row) < 2 for row in rows):
            raise InputError(f"{path}: {brief(repr(lines[0]))} has one column; a row is an image and its label.")
        return rows
    try:
        table = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); a row is an image and its label.") from error
    return [row for row in table if any(cell.strip() for cell in row)]


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name.strip().lower()) for name in names if name.strip().lower() in header), None)


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _named(header: Sequence[str]) -> str:
    return brief(", ".join(cell.strip() for cell in header))


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
