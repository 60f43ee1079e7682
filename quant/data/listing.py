"""The images of a folder: in its class folders, or in itself."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.arrays import ARRAY_SUFFIXES
from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES
from quant.common.findings import Finding, finding
from quant.data.halves import is_ignored, require_classes_not_halves, subfolders, unwrap

_LISTED = IMAGE_SUFFIXES | ARRAY_SUFFIXES

_LITTER = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
"""Left behind by Windows and macOS; hidden files are passed over too."""

_KINDS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Listed:
    """One image before its file is read."""

    path: Path
    name: str
    """Path below the data folder, with `/`."""
    class_name: str | None
    """None without labels."""
    targets: tuple[float, ...] | None = None
    """One number for each output, where a label file gives them."""


def list_images(
    root: Path, data: Path, *, class_names: Sequence[str] | None = None, strangers: Counter[str] | None = None
) -> list[Listed]:
    """List the images below a folder: in its class folders, or, if it has none, in itself.

    Args:
        root: the folder.
        data: the whole set's, which names are relative to; see `name_below`.
        class_names: of the network, where they are known.
        strangers: counts the files that are no images, by suffix.

    Raises:
        InputError: no images, images beside class folders, or folders that look like halves of a split.
    """
    root = unwrap(root, class_names)
    folders = subfolders(root)
    loose = images_in(root, recurse=False, strangers=strangers)
    if loose and folders:
        raise InputError(
            f"{root}: images lie beside class folders ({loose[0].name}); put each into its class's folder."
        )
    require_classes_not_halves(root, folders, class_names)
    listed = [Listed(p, name_below(p, root, data), None) for p in loose]
    for folder in folders:
        images = images_in(folder, recurse=True, strangers=strangers)
        if not images:
            raise InputError(f"{folder}: the class has no images ({image_suffixes()}); add some or remove it.")
        listed += [Listed(p, name_below(p, root, data), folder.name) for p in images]
    if not listed:
        raise InputError(f"{root}: no images ({image_suffixes()}) here or in class folders.")
    return listed


def name_below(path: Path, root: Path, data: Path) -> str:
    """What an image of `root` is called: its path below the data folder, or below `root`'s parent elsewhere."""
    return path.relative_to(data if root.is_relative_to(data) else root.parent).as_posix()


def images_in(folder: Path, *, recurse: bool, strangers: Counter[str] | None = None) -> list[Path]:
    """Image and array files of a folder, hidden ones left out, in the order of their paths.

    `strangers` counts the other files, by suffix.
    """
    paths: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if recurse and not is_ignored(f))
        for name in files:
            if name.startswith(".") or name.lower() in _LITTER:
                continue
            if Path(name).suffix.lower() in _LISTED:
                paths.append(Path(parent, name))
            elif strangers is not None:
                strangers[suffix_of(Path(name))] += 1
    return sorted(paths)


def suffix_of(path: Path) -> str:
    """What a file is counted as."""
    return path.suffix.lower() or "without a suffix"


def strangers_finding(strangers: Counter[str]) -> tuple[Finding, ...]:
    """One note on the files that are no images, by kind; none where there were none."""
    if not strangers:
        return ()
    ordered = sorted(strangers.items(), key=lambda kind: (-kind[1], kind[0]))
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in ordered[:_KINDS_SHOWN])
    more = " and others" if len(strangers) > _KINDS_SHOWN else ""
    return (finding("images-left-out", f"Left out {strangers.total()} files that are no images: {kinds}{more}."),)


def image_suffixes() -> str:
    """What `images_in` takes, for messages."""
    return ", ".join(sorted(_LISTED))
