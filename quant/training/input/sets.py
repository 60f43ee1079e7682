"""The data that a configuration names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from quant.common.progress import Progress
from quant.data.classes import Classes
from quant.data.collect import Source, collect
from quant.data.halves import find_halves, require_folder
from quant.data.listing import Listed
from quant.data.readers.label_file import LabelFile
from quant.data.readers.labelled import FolderImages, LabelledImages, ListedImages, epoch_order
from quant.data.readers.shards import ShardImages, find_shards, listed_classes
from quant.training.config import TrainConfig
from quant.training.distributed import Group, in_turn
from quant.training.input.sample_images import SampleImages

CLASS = "class"
"""The kind of labels that a network is trained on; see `quant.data.readers.label_file.KINDS`."""


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
    labels = config.images.read(CLASS)
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
    names = listed_classes(data) or _in_order(found)
    source = Source(data=data, labels=labels, class_names=tuple(names), num_classes=len(names))
    collected = collect(source)
    assert collected.classes is not None
    classes = collected.classes
    sides = [_named(side, classes) for side in (collected.pool, collected.judged)]
    train, val = _shared_out(sides[1], seed) if collected.shared else sides
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


def _in_order(found: Collection[str]) -> tuple[str, ...]:
    """Class names in sorted order; indices are those of the outputs, from 0."""
    if all(name.isdecimal() for name in found):
        return tuple(str(i) for i in range(max(map(int, found)) + 1))
    return tuple(sorted(found))


def _shared_out(images: Sequence[Listed], seed: int) -> tuple[list[Listed], list[Listed]]:
    """Every fifth image of each class validates, in an order drawn by the seed."""
    shuffled = [images[i] for i in epoch_order(len(images), seed=seed, epoch=0).tolist()]
    train: list[Listed] = []
    val: list[Listed] = []
    seen: Counter[str | None] = Counter()
    for image in shuffled:
        seen[image.class_name] += 1
        (train if seen[image.class_name] % _FIFTH else val).append(image)
    return train, val


_FIFTH = 5


def _half(folder: Path, class_names: Sequence[str] | None, progress: Progress) -> LabelledImages:
    shards = find_shards(folder)
    if shards:
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
