"""WebDataset shards as the folder of photographs that a run reads."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from edge_effnet.class_names import is_line_of_text
from edge_effnet.errors import InputError
from edge_effnet.images import FORMATS
from quant.atomic import explained_writes
from quant.progress import Progress
from quant.training.shards import CLASS_LIST, ShardImages, find_shards, listed_classes

_HALVES = ("train", "val")


def holds_shards(data: Path) -> bool:
    """Whether `train/` or `val/` of a folder hold tar files."""
    return any(find_shards(data / half) for half in _HALVES)


def unpack_shards(data: Path, folder: Path, progress: Progress) -> None:
    """Write the samples of `data/train/*.tar` and `data/val/*.tar` as files in class folders.

    Args:
        data: where the shards are.
        folder: where to; gets `train/CLASS/`, `val/CLASS/` and `classes.txt`.
        progress: told of the samples.

    Raises:
        InputError: a damaged shard, a sample that is no picture, or a class name that is no name of a folder.
        MachineError: no room.
    """
    names = listed_classes(data)
    for half in _HALVES:
        images = ShardImages(find_shards(data / half), class_names=names, progress=progress)
        names = images.class_names
        for name in names:
            if not is_line_of_text(name) or "/" in name or name in (".", ".."):
                raise InputError(f"{data / half}: class name {name!r} cannot be the name of a folder; rename it.")
        (folder / CLASS_LIST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        with progress.stage(f"Unpacking {half}", len(images)) as advance, explained_writes(folder):
            for item in images.items():
                place = folder / half / names[item.label]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{item.number:09d}.{_format_of(item.data, item.name)}").write_bytes(item.data)
                advance(1)


def _format_of(data: bytes, name: str) -> str:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return str(image.format).lower()
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{name}: not a readable picture; repair or remove the sample.") from error
