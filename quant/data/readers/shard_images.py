"""WebDataset shards as the folder of images that a run reads."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.images import image_format
from edge_effnet.io.text import brief
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.halves import find_halves
from quant.data.readers.shards import CLASS_LIST, ShardImages, find_shards, listed_classes

_LONGEST_NAME = 255
"""Bytes of a file's name, on every usual file system."""


def holds_shards(data: Path) -> bool:
    """Whether `train/` or `val/` of a folder hold tar files."""
    return any(find_shards(folder) for folder in _halves(data).values())


def _halves(data: Path) -> dict[str, Path]:
    """Folders of `train` and `val`, by whatever names."""
    halves = find_halves(data) if data.is_dir() else None
    named = {} if halves is None else {"train": halves.train, "val": halves.val}
    return {half: folder for half, folder in named.items() if folder is not None}


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
    for half, shards in _halves(data).items():
        images = ShardImages(find_shards(shards), class_names=names, progress=progress)
        names = images.class_names
        _require_folder_names(images, data / CLASS_LIST)
        (folder / CLASS_LIST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        with progress.stage(f"Unpacking {half}", len(images)) as advance, explained_writes(folder):
            for item in images.items():
                place = folder / half / names[item.label]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{item.number:09d}.{image_format(BytesIO(item.data), item.name)}").write_bytes(item.data)
                advance(1)


def _require_folder_names(images: ShardImages, listed: Path) -> None:
    """Refuse class names that no folder can have, or that would be passed by as hidden."""
    for name in images.class_names:
        if "/" in name or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
            raise InputError(
                f"{images.first_members.get(name, listed)}: class name {brief(repr(name))} cannot be the name of a "
                f"folder (no '/', no '.' first, at most {_LONGEST_NAME} bytes); rename it."
            )
