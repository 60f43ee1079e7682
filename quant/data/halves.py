"""The halves of a split, by whatever names people give them: what ranges are fitted on, and what judges."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from quant.common.findings import Finding, finding

_ROLES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "eval", "evaluation", "dev"),
    "test": ("test", "testing"),
}
"""Words by what a half is for; `_set`, `_images`, `2017`, ... may follow."""

_FOLLOWS = re.compile(r"[ _.-]*(sets?|images?|imgs?|data|split|folder|dir)?[ _.-]*(\d{4})?")
_WORD = re.compile(r"[a-z]+")

_IGNORED = frozenset({"__macosx", "$recycle.bin", "@eadir"})
"""What macOS, Windows and Synology add."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Halves:
    """Folders of a split."""

    train: Path | None
    """What ranges are fitted on."""
    val: Path | None
    """What judges."""
    shared: bool = False
    """Whether both sides are drawn from `val`."""
    findings: tuple[Finding, ...] = ()


def is_ignored(folder: str) -> bool:
    """Whether a folder of this name holds nothing of the user's: hidden, or a system's own."""
    return folder.startswith(".") or folder.lower() in _IGNORED


def subfolders(root: Path) -> list[Path]:
    """Folders in a folder, sorted, but for those that are ignored."""
    with os.scandir(root) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir() and not is_ignored(entry.name))


def unwrap(root: Path, class_names: Sequence[str] | None = None) -> Path:
    """The folder with halves or classes, where an archive put folders of one each around it.

    One of the network's classes, where they are known, is no wrapping.
    """
    found = root
    while len(folders := subfolders(found)) == 1 and folders[0].name not in (class_names or ()):
        if _role(folders[0].name) or _has_files(found):
            return root
        found = folders[0]
    return found if len(folders) > 1 else root


def find_halves(data: Path, class_names: Sequence[str] | None = None) -> Halves | None:
    """Find the halves in a folder; None where it has none, or where these are classes (a "train" has wheels).

    Raises:
        InputError: two folders for one half.
    """
    roles: dict[str, list[Path]] = {}
    for folder in subfolders(unwrap(data, class_names)):
        if (role := _role(folder.name)) is not None:
            roles.setdefault(role, []).append(folder)
    if {folder.name for found in roles.values() for folder in found} <= set(class_names or ()):
        return None
    for found in roles.values():
        if len(found) > 1:
            raise InputError(
                f"{data}: has {found[0].name}/ and {found[1].name}/, which look like the same half; name them with "
                "--calibration-data DIR and --evaluation-data DIR."
            )
    train, val, test = (roles[role][0] if role in roles else None for role in _ROLES)
    said: tuple[Finding, ...] = ()
    if val is not None and test is not None:
        message = f"Judged on {val.name}/; {test.name}/ is left alone (--evaluation-data takes it)."
        said = (finding("images-fewer", message),)
    return Halves(train=train, val=val or test, findings=said) if roles else None


def named_halves(
    data: Path, class_names: Sequence[str] | None, calibration_data: Path | None, evaluation_data: Path | None
) -> Halves | None:
    """The halves of `data`, or the folders named outright; the one that is not named is the other half, or `data`.

    Raises:
        InputError: as `find_halves`; no such folder, or one that holds the other.
    """
    if calibration_data is None and evaluation_data is None:
        return find_halves(data, class_names)
    for option, folder in (("--calibration-data", calibration_data), ("--evaluation-data", evaluation_data)):
        if folder is not None:
            require_folder(folder, option)
    train, val = calibration_data, evaluation_data
    if train is None or val is None:
        known = find_halves(data, class_names) or Halves(train=data, val=data)
        train, val = train or known.train, val or known.val
    if train is not None and val is not None:
        one, other = train.resolve(), val.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise InputError(
                f"{train} and {val}: one holds the other, and calibration and evaluation must not share images; name "
                "two folders (--calibration-data DIR --evaluation-data DIR)."
            )
    return Halves(train=train, val=val)


def require_folder(folder: Path, option: str) -> None:
    """Refuse what is no folder.

    Raises:
        InputError: it is a file, or nothing.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(
            f"{folder}: {what}; {option} takes a folder of images (train/ and val/, or class folders)."
            if option == "--data"
            else f"{option} {folder}: {what}; it takes a folder of images."
        )


def require_classes_not_halves(root: Path, folders: Sequence[Path], class_names: Sequence[str] | None) -> None:
    """Refuse class folders of `root` that look like halves of a split: by their names, or what lies in them.

    The network's own classes, where they are known, are never doubted.

    Raises:
        InputError: they do.
    """
    odd = [folder for folder in folders if folder.name not in (class_names or ())]
    roles = {role: folder for folder in reversed(odd) if (role := _role_in(folder.name)) is not None}
    if len(roles) > 1:
        one, other = [roles[role] for role in _ROLES if role in roles][:2]
        seen = "by their names"
    else:
        twins = _twins(odd)
        if twins is None:
            return
        one, other, inner = twins
        seen = f"which both hold {', '.join(inner[:3])}{' ...' if len(inner) > 3 else ''}"
    raise InputError(
        f"{root}: {one.name}/ and {other.name}/ look like halves of a split, {seen}, not like classes; rename them "
        f"train/ and val/, or name them: --calibration-data {one} --evaluation-data {other}."
    )


def _role(name: str) -> str | None:
    """What a half of this whole name is for."""
    lower = name.lower()
    for role, words in _ROLES.items():
        if any(lower.startswith(word) and _FOLLOWS.fullmatch(lower[len(word) :]) for word in words):
            return role
    return None


def _role_in(name: str) -> str | None:
    """What a half would be for that has such a word in its name: `seg_train`."""
    words = set(_WORD.findall(name.lower()))
    return next((role for role, known in _ROLES.items() if words & set(known)), None)


def _has_files(folder: Path) -> bool:
    """Whether files of the user's lie in a folder itself."""
    with os.scandir(folder) as entries:
        return any(entry.is_file() and not entry.name.startswith(".") for entry in entries)


def _twins(folders: Sequence[Path]) -> tuple[Path, Path, list[str]] | None:
    """Two folders with the same two or more subfolders."""
    seen: dict[tuple[str, ...], Path] = {}
    for folder in folders:
        inner = tuple(p.name for p in subfolders(folder))
        if len(inner) > 1 and (other := seen.setdefault(inner, folder)) is not folder:
            return other, folder, list(inner)
    return None
