"""What may be replaced: nothing, an empty folder, or a folder that holds what we wrote and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edge_effnet.errors import InputError
from edge_effnet.samples import SAMPLE
from quant.common.atomic_io import require_writable

_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers leave in any folder that somebody looked into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of folder that we write."""

    name: str
    """With its article, as messages say it."""
    index: str
    """The file in it that names all others."""
    files: Callable[[Path], set[str]]
    """The others of a folder, by their paths below it; OSError or ValueError where the index is not one of ours."""


def require_replaceable(folder: Path, kinds: Sequence[Kind], *, option: str = "--out") -> None:
    """Refuse to replace a folder that holds anything that we did not write, and places that cannot be written.

    Args:
        folder: that is to be replaced.
        kinds: of folders that may stand there; the first one is what messages speak of.
        option: that named the folder.

    Raises:
        InputError: a file, a link, a folder with other content, or one that this process works in.
        MachineError: no permission to write there, or a name that is too long.
    """
    if lies_in(Path.cwd(), folder):
        raise InputError(f"{folder}: holds the current folder, which cannot be replaced; choose another {option}.")
    require_writable(folder)
    fault = _fault(folder, kinds)
    if fault is not None:
        raise InputError(f"{folder}: {fault} choose another {option}.")


def require_apart(out: Path, inputs: Mapping[str, str | Path]) -> None:
    """Refuse to read `inputs`, files and folders by the option that named them, from the folder that is replaced.

    Raises:
        InputError: one lies in it.
    """
    for option, given in inputs.items():
        if given != SAMPLE and lies_in(Path(given), out):
            raise InputError(f"{option} {given}: lies in {out}, which is to be replaced; choose another --out.")


def require_no_image(out: Path, data: str | Path) -> None:
    """Refuse to write among the images of `data`, where the next run would take it for a class of them.

    Raises:
        InputError: `out` lies there.
    """
    halves = [Path(data, half) for half in ("train", "val") if Path(data, half).is_dir()]
    for root in () if data == SAMPLE else halves or [Path(data)]:
        if lies_in(out, root):
            raise InputError(
                f"--out {out}: lies among the images of {root}, where the next run would take it for one of "
                "their classes; choose another --out."
            )


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or leads into it, through whatever links and spellings; False where none exists."""
    place = path.resolve()
    return any(_is_same(parent, folder) for parent in (place, *place.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _fault(folder: Path, kinds: Sequence[Kind]) -> str | None:
    """Why a folder must not be replaced; None where it may."""
    if folder.is_symlink() or not folder.is_dir():
        return "is not a folder;" if folder.is_symlink() or folder.exists() else None
    name, kind = kinds[0].name, next((kind for kind in kinds if (folder / kind.index).is_file()), None)
    try:
        if kind is None:
            return f"holds something other than {name};" if any(folder.iterdir()) else None
        stranger = _stranger(folder, kind.files(folder) | {kind.index})
    except (OSError, ValueError) as error:
        return f"holds something other than {name}, or a damaged one to remove by hand ({error});"
    return None if stranger is None else f"holds {stranger}, which is no part of {name}; move it elsewhere, or"


def _stranger(folder: Path, files: set[str], below: str = "") -> str | None:
    """Path of the first thing in a folder that is none of these files; links are none."""
    parents = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = below + entry.name
            if entry.is_dir(follow_symlinks=False) and name in parents:
                found = _stranger(Path(entry.path), files, f"{name}/")
                if found is not None:
                    return found
            elif not entry.is_file(follow_symlinks=False) or (name not in files and entry.name not in _LITTER):
                return name
    return None
