"""Images drawn by code: each differs from every other, and red ones are red."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ("blue", "green", "red")
"""Class names, in their sorted order."""

_RGB = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}


def draw_image(path: Path, colour: str = "red", *, seed: int = 0, size: tuple[int, int] = (24, 20)) -> Path:
    """Write a JPEG of smooth blotches around a colour; the same arguments give the same bytes."""
    rng = np.random.default_rng([seed, COLOURS.index(colour)])
    blotches = np.asarray(_RGB[colour]) + rng.integers(-20, 21, (4, 5, 3))
    image = Image.fromarray(blotches.clip(0, 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=90)
    return path


def draw_classes(root: Path, per_class: int, *, seed: int = 0, colours: tuple[str, ...] = COLOURS) -> Path:
    """Write class folders with `per_class` images each."""
    for colour in colours:
        for index in range(per_class):
            draw_image(root / colour / f"{index}.jpg", colour, seed=1000 * seed + index)
    return root


def draw_halves(root: Path, *, train: int = 4, val: int = 4) -> Path:
    """Write `train/` and `val/` with class folders; `train` and `val` images a class."""
    draw_classes(root / "train", train, seed=1)
    draw_classes(root / "val", val, seed=2)
    return root


def pack_shards(images: Path, folder: Path) -> Path:
    """Write `photos/train` and `photos/val` as one WebDataset shard each, with the class as a name."""
    for half in ("train", "val"):
        (folder / half).mkdir(parents=True)
        with tarfile.open(folder / half / "00.tar", "w") as tar:
            for number, path in enumerate(sorted((images / half).rglob("*.jpg"))):
                for suffix, data in (("jpg", path.read_bytes()), ("cls", path.parent.name.encode())):
                    info = tarfile.TarInfo(f"{number:04}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return folder
