"""Class names, wherever they come from, each one line of `labels.txt`; and those of ImageNet's 1,000 classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

# Control characters, surrogates, and Unicode's own ends of line and paragraph: readers that split at one of them
# would give every later class another's name.
_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_line_of_text(name: str) -> bool:
    """Whether a class name can be a line of `labels.txt`: not empty, and nothing in it that ends a line somewhere."""
    return bool(name) and not any(unicodedata.category(letter) in _NOT_TEXT for letter in name)


def require_class_names(names: Iterable[object], where: object) -> tuple[str, ...]:
    """Return the names, by class index, each a line of text; `where` is the file that has them.

    Raises:
        InputError: one that is no string, or no line of text.
    """
    found = []
    for name in names:
        if not isinstance(name, str) or not is_line_of_text(name):
            raise InputError(f"{where}: class name {brief(repr(name))} is not one line of text; rename it there.")
        found.append(name)
    return tuple(found)


IMAGENET = 1000
"""Classes of the ILSVRC, which published weights tell apart: output i is the i-th synset in order. Names are
torchvision's; two that differ by case alone have their synset behind them."""

_SAME_NAMES = 0.8
"""Share of a network's names that have to be ImageNet's: sources spell some of them otherwise."""


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Synset and name of each class, in order of the outputs."""
    text = files("edge_effnet").joinpath("imagenet1k.tsv").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines())
    return tuple((synset, name) for synset, name in pairs)


def is_imagenet(class_names: Sequence[str]) -> bool:
    """Whether a network's names are those of ImageNet's classes, in their order, however they are spelled."""
    if len(class_names) != IMAGENET:
        return False
    pairs = zip(class_names, imagenet_classes(), strict=True)
    same = sum(
        synset in given or name.split(" (")[0].casefold() in given.casefold() for given, (synset, name) in pairs
    )
    return same >= _SAME_NAMES * IMAGENET
