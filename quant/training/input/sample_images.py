"""The sample set as a data set: drawn once, then read from a memory-mapped file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from edge_effnet import samples
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.readers.labelled import Item, ordered


def drawing_code_digest() -> str:
    """SHA-256 of the code that draws, 12 digits: pictures of other code are other pictures."""
    digest = hashlib.sha256()
    for path in sorted(Path(samples.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class SampleImages:
    """The first `count` pictures of a split; stages of smaller crops scale them down, as images."""

    def __init__(self, split: str, count: int, *, image_size: int, seed: int, cache: Path) -> None:
        """Name the pictures; `draw` has to come before they are read.

        Args:
            split: a name of `edge_effnet.samples.SPLITS`.
            count: how many.
            image_size: side, pixels.
            seed: of the drawing.
            cache: folder that keeps them between runs.
        """
        self.class_names = samples.CLASS_NAMES
        self._split, self._count, self._size, self._seed = split, count, image_size, seed
        name = f"{drawing_code_digest()}-{split}-{count}-{image_size}-{seed}.npy"
        self._path = cache / name
        self._pixels = np.empty((0, image_size, image_size, 3), dtype=np.uint8)

    def __len__(self) -> int:
        """Count of the pictures."""
        return self._count

    def draw(self, progress: Progress) -> None:
        """Draw the pictures, or map those of an earlier run.

        Raises:
            MachineError: the cache cannot be written.
        """
        if not self._path.exists():
            with explained_writes(self._path):
                self._draw(progress)
        self._pixels = np.load(self._path, mmap_mode="r")

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every picture once."""
        for number in ordered(self._count, seed=seed, epoch=epoch):
            yield Item(number, number % len(self.class_names))

    def image(self, item: Item) -> Image.Image:
        """Return one drawn picture."""
        return Image.fromarray(self._pixels[item.number])

    def _draw(self, progress: Progress) -> None:
        part = self._path.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        shape = (self._count, self._size, self._size, 3)
        with progress.stage(f"Drawing {self._split} images", self._count) as advance:
            pixels = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
            for index in range(self._count):
                pixels[index], _ = samples.draw(self._split, index, self._size, self._seed)
                advance(1)
            pixels.flush()
        part.replace(self._path)
