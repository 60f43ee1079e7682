"""From names of folders and labels to outputs of the network: by name, however it is spelled, never by position."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.class_names import IMAGENET, imagenet_classes, is_imagenet, is_line_of_text, require_class_names
from edge_effnet.errors import InputError
from edge_effnet.io.files import open_given
from edge_effnet.weights.described import ordered_names

ANY = 0
"""Instead of a number of classes: whatever names there are, of either side."""

_NUMBERED = re.compile(r"(\d+)[\s,:;]+(\S.*)")

_BETWEEN_WORDS = re.compile(r"[\s_-]+")

_MAX_LIST_BYTES = 16 * 1024 * 1024
"""A million classes with names of 16 letters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Classes:
    """The classes of a set of images."""

    names: tuple[str, ...]
    """The network's, by output."""
    index: Mapping[str, int]
    """Output of each name that folders or labels have."""


def match_classes(root: Path, found: Collection[str], class_names: Sequence[str] | None, num_classes: int) -> Classes:
    """Find the output that each name of a folder or label means.

    Args:
        root: where the names are from, for messages.
        found: the names, at least one.
        class_names: the network's, where they are known; else ImageNet's where the names are, else the found ones
            in sorted order.
        num_classes: outputs of the network.

    Raises:
        InputError: names that the network does not have, or that leave open which outputs they are.
    """
    if odd := sorted(name for name in found if not is_line_of_text(name)):
        raise InputError(f"{root}: {_what(root)} whose names are not one line of text: {some(odd)}; rename them.")
    known = _imagenet(found, class_names, num_classes)
    if known is not None:
        return known
    if class_names is not None:
        return Classes(names=tuple(class_names), index=_by_name(root, found, class_names))
    if len(found) == num_classes:
        names = tuple(sorted(found))
        return Classes(names=names, index={name: i for i, name in enumerate(names)})
    raise InputError(
        f"{root}: has {len(found)} {_what(root)}, the network tells {num_classes} classes apart, and nothing says "
        "which; name its classes in the order of its outputs: --classes FILE."
    )


def match_numbers(
    where: Path, found: Collection[str], class_names: Sequence[str] | None, num_classes: int
) -> Classes:
    """Take labels that are numbers for outputs, counted from 0.

    Raises:
        InputError: the network has fewer outputs, or they seem to be counted from 1.
    """
    numbers = {text: int(text) for text in found}
    low, high = min(numbers.values()), max(numbers.values())
    if high >= num_classes:
        counted = " They seem to be counted from 1: subtract 1." if low > 0 and high == num_classes else ""
        raise InputError(
            f"{where}: labels go from {low} to {high}, the network's {num_classes} outputs from 0 to "
            f"{num_classes - 1}; correct them.{counted}"
        )
    if class_names is None and num_classes == IMAGENET:
        class_names = [name for _, name in imagenet_classes()]
    return Classes(names=tuple(class_names or map(str, range(num_classes))), index=numbers)


def read_class_list(path: Path, num_classes: int) -> tuple[str, ...]:
    """Read the network's class names in the order of its outputs: one a line, `index name`, or JSON.

    Raises:
        InputError: unreadable, or another number of names than outputs.
    """
    text = list_text(path, f"--classes {path}")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    names: Sequence[str] | None = ordered_names(text) if path.suffix.lower() == ".json" else lines
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if names is lines and all(numbered):
        by_index = {int(line[1]): line[2] for line in numbered if line is not None}
        names = [by_index[i] for i in sorted(by_index)] if sorted(by_index) == list(range(len(lines))) else lines
    if names is None or len(names) != num_classes:
        count = "no list of names" if names is None else f"{len(names)} names"
        raise InputError(
            f"--classes {path}: {count}, the network has {num_classes} outputs; give one name a line in their order, "
            "or a JSON list."
        )
    return require_class_names(names, path)


def list_text(path: Path, said: str) -> str:
    """Read a list of class names; `said` is what messages call it.

    Raises:
        InputError: it is no text, or too long.
    """
    with open_given(path, limit=_MAX_LIST_BYTES) as file:
        try:
            return file.read().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{said}: cannot be read as text ({error}).") from error


def some(names: Sequence[str]) -> str:
    """The first few names, for messages."""
    shown = ", ".join(repr(n) for n in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _imagenet(found: Collection[str], class_names: Sequence[str] | None, num_classes: int) -> Classes | None:
    """What the names mean where the network's classes and all that was found are ImageNet's: synsets or names."""
    if num_classes != IMAGENET or not (class_names is None or is_imagenet(class_names)):
        return None
    pairs = imagenet_classes()
    given = class_names or [name for _, name in pairs]
    words = [
        _single((word, i) for i, pair in enumerate(pairs) for word in pair),
        _single((name, i) for i, name in enumerate(given)),
        # "tench, Tinca tinca" of transformers and lukemelas.
        _single((name.split(",")[0], i) for i, name in enumerate(given)),
    ]
    index = {name: next((known[_plain(name)] for known in words if _plain(name) in known), None) for name in found}
    known = {name: i for name, i in index.items() if i is not None}
    if len(known) < len(found) or len(set(known.values())) < len(known):
        return None
    return Classes(names=tuple(given), index=known)


def _single(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Outputs by plain name, without the names of several."""
    outputs: dict[str, set[int]] = {}
    for name, i in pairs:
        outputs.setdefault(_plain(name), set()).add(i)
    return {name: next(iter(found)) for name, found in outputs.items() if len(found) == 1}


def _by_name(root: Path, found: Collection[str], class_names: Sequence[str]) -> dict[str, int]:
    counts = Counter(class_names)
    exact = {name: i for i, name in enumerate(class_names) if counts[name] == 1}
    plain = _single((name, i) for i, name in enumerate(class_names))
    several = {_plain(name) for name in class_names} - set(plain)
    index = {name: exact.get(name, plain.get(_plain(name))) for name in sorted(found)}
    if twins := [name for name, i in index.items() if i is None and _plain(name) in several]:
        raise InputError(
            f"{root}: the network has several classes of one name ({some(twins)}), which folders cannot tell apart; "
            "rename them in the weights, or pass images without class folders."
        )
    known = {name: i for name, i in index.items() if i is not None}
    unknown = [name for name in index if name not in known]
    # Two folders would be another class's by mistake; two spellings in a label file are one class.
    if unknown or (root.is_dir() and len(set(known.values())) < len(known)):
        missing = sorted(name for i, name in enumerate(class_names) if i not in known.values())
        folders = root.is_dir()
        parts = [f"no {'folder' if folders else 'row'} for {some(missing)}"] if missing else []
        parts += [f"unknown class {some(unknown)}"] if unknown else ["two folders for one class"]
        raise InputError(
            f"{root}: its {len(found)} {_what(root)} are not the network's {len(class_names)} classes "
            f"({'; '.join(parts)}); rename or remove {'folders' if folders else 'rows'}, or name the outputs in "
            "order: --classes FILE."
        )
    return known


def _what(root: Path) -> str:
    return "class folders" if root.is_dir() else "classes"


def _plain(name: str) -> str:
    """A name without what people spell in several ways: case, accents' encoding, `_` and `-`, zeros in front."""
    words = _BETWEEN_WORDS.split(unicodedata.normalize("NFC", name).casefold().strip())
    return " ".join((word.lstrip("0") or "0") if word.isdecimal() else word for word in words)
