"""The data that a configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from quant.common.progress import Progress
from quant.data.halves import find_halves
from quant.data.readers.labelled import FolderImages, LabelledImages
from quant.data.readers.shards import ShardImages, find_shards, listed_classes
from quant.training.config import TrainConfig
from quant.training.distributed import Group, in_turn
from quant.training.input.sample_images import SampleImages


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
    halves = find_halves(data) if data.is_dir() else None
    if halves is None or halves.train is None or halves.val is None:
        missing = data / ("train" if halves is None or halves.train is None else "val")
        raise InputError(
            f"{missing}: no such folder; --data takes a folder with train/ and val/, or the word {SAMPLE!r}."
        )
    train = _half(halves.train, listed_classes(data), progress)
    return TrainingSets(train=train, val=_half(halves.val, train.class_names, progress))


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
