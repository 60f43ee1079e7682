"""The data that a configuration names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from edge_effnet import samples
from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from edge_effnet.weights.build import MOST_CLASSES
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.classes import Classes
from quant.data.collect import Source, collect
from quant.data.halves import find_halves, require_folder
from quant.data.listing import Listed
from quant.data.readers.label_file import LabelFile
from quant.data.readers.labelled import FolderImages, Item, LabelledImages, ListedImages, ordered
from quant.data.readers.shards import ShardImages, find_shards, listed_classes
from quant.training.config import TrainConfig
from quant.training.distributed import Group, in_turn


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSets:
    """What a run reads."""

    train: LabelledImages
    val: LabelledImages


def open_sets(config: TrainConfig, group: Group, progress: Progress) -> TrainingSets:
    """Open training and validation images.

    Raises:
        InputError: no such folder, a half is missing or empty, or the halves' classes differ.
        MachineError: drawn images cannot be kept.
    """
    if config.data == SAMPLE:
        return _sample(config, group, progress)
    data = Path(config.data)
    labels = config.images.read("class")
    if labels is not None:
        return _labelled(data, labels, config.seed)
    halves = find_halves(data) if data.is_dir() else None
    if halves is None or halves.train is None or halves.val is None:
        missing = data / ("train" if halves is None or halves.train is None else "val")
        raise InputError(
            f"{missing}: no such folder; --data takes a folder with train/ and val/, or the word {SAMPLE!r}."
        )
    train = _half(halves.train, listed_classes(data), progress)
    return TrainingSets(train=train, val=_half(halves.val, train.class_names, progress))


def _labelled(data: Path, labels: LabelFile, seed: int) -> TrainingSets:
    """Images of a label file, as `quantize` reads them; without halves a fifth of each class validates."""
    require_folder(data, "--data")
    found = {name for _, (name, *_) in labels.rows}
    names = listed_classes(data) or _in_order(found, labels.path)
    source = Source(data=data, labels=labels, class_names=tuple(names), num_classes=len(names))
    collected = collect(source)
    classes = collected.classes
    assert classes is not None
    pool, judged = (_named(side, classes) for side in (collected.pool, collected.judged))
    train, val = _shared_out(judged, seed) if collected.shared else (pool, judged)
    if not train or not val:
        missing = "validate" if train else "train"
        raise InputError(
            f"{labels.path}: lists no image to {missing} on; list images of both halves, or more of each class."
        )
    return TrainingSets(train=ListedImages(train, classes.names), val=ListedImages(val, classes.names))


def _named(images: Sequence[Listed], classes: Classes) -> list[Listed]:
    """Those of a known class, by its name in the network."""
    outputs = [classes.index.get(image.class_name or "") for image in images]
    pairs = zip(images, outputs, strict=True)
    return [replace(image, class_name=classes.names[output]) for image, output in pairs if output is not None]


def _in_order(found: Collection[str], path: Path) -> tuple[str, ...]:
    """Class names in sorted order; indices are those of the outputs, from 0."""
    if not all(name.isdecimal() for name in found):
        return tuple(sorted(found))
    largest = max(map(int, found))
    if largest >= MOST_CLASSES:
        raise InputError(
            f"{path}: label {largest} would be the index of an output, of at most {MOST_CLASSES:,}; number the "
            f"{len(found)} classes from 0, or give them names that are no numbers."
        )
    return tuple(str(index) for index in range(largest + 1))


def _shared_out(images: Sequence[Listed], seed: int) -> tuple[list[Listed], list[Listed]]:
    """Every fifth image of each class validates, in an order drawn by the seed."""
    train: list[Listed] = []
    val: list[Listed] = []
    seen: Counter[str | None] = Counter()
    for image in (images[i] for i in ordered(len(images), seed=seed, epoch=0)):
        seen[image.class_name] += 1
        (train if seen[image.class_name] % 5 else val).append(image)
    return train, val


def _half(folder: Path, class_names: Sequence[str] | None, progress: Progress) -> LabelledImages:
    if shards := find_shards(folder):
        return ShardImages(shards, class_names=class_names, progress=progress)
    return FolderImages(folder, class_names)


def _sample(config: TrainConfig, group: Group, progress: Progress) -> TrainingSets:
    cache = config.cache or config.out.parent / "sample-images"
    size = config.image_size
    train = SampleImages("train", config.sample_images, image_size=size, seed=config.seed, cache=cache)
    val = SampleImages("val", config.sample_val_images, image_size=size, seed=0, cache=cache)
    with in_turn(group):
        train.draw(progress)
        val.draw(progress)
    return TrainingSets(train=train, val=val)


def drawing_code_digest() -> str:
    """SHA-256 of the code that draws, 12 digits: pictures of other code are other pictures."""
    code = b"".join(path.read_bytes() for path in sorted(Path(samples.__file__).parent.glob("*.py")))
    return hashlib.sha256(code).hexdigest()[:12]


class SampleImages:
    """The first `count` pictures of a split; stages of smaller crops scale them down, as images."""

    def __init__(self, split: str, count: int, *, image_size: int, seed: int, cache: Path) -> None:
        """Name the pictures, of a split of `edge_effnet.samples.SPLITS`; `draw` has to come before they are read.

        They have sides of `image_size` pixels, and are kept in `cache` between runs.
        """
        self.class_names = samples.CLASS_NAMES
        self._split, self._count, self._size, self._seed = split, count, image_size, seed
        self._path = cache / f"{drawing_code_digest()}-{split}-{count}-{image_size}-{seed}.npy"
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
            part, shape = self._path.with_suffix(".part"), (self._count, self._size, self._size, 3)
            with (
                explained_writes(self._path),
                progress.stage(f"Drawing {self._split} images", self._count) as advance,
            ):
                part.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape)
                for index in range(self._count):
                    pixels[index], _ = samples.draw(self._split, index, self._size, self._seed)
                    advance(1)
                pixels.flush()
                part.replace(self._path)
        self._pixels = np.load(self._path, mmap_mode="r")

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every picture once."""
        for number in ordered(self._count, seed=seed, epoch=epoch):
            yield Item(number, number % len(self.class_names))

    def image(self, item: Item) -> Image.Image:
        """Return one drawn picture."""
        return Image.fromarray(self._pixels[item.number])
