"""The 1,000 classes of ImageNet's ILSVRC, which published weights tell apart: output i is the i-th synset in order.

Names are torchvision's; two that differ by case alone have their synset behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

CLASSES = 1000

_SAME_NAMES = 0.8
"""Share of a network's names that have to be ImageNet's: sources spell some of them otherwise."""


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Synset and name of each class, in order of the outputs."""
    text = files("edge_effnet.weights").joinpath("imagenet1k.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines())
    return tuple((synset, name) for synset, name in pairs)


def is_imagenet(class_names: Sequence[str]) -> bool:
    """Whether a network's names are those of ImageNet's classes, in their order, however they are spelled."""
    if len(class_names) != CLASSES:
        return False
    pairs = zip(class_names, imagenet_classes(), strict=True)
    same = sum(
        synset in given or name.split(" (")[0].casefold() in given.casefold() for given, (synset, name) in pairs
    )
    return same >= _SAME_NAMES * CLASSES
