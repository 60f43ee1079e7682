"""Files and folders that appear complete or not at all, and replace what was there in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_effnet.errors import MachineError
from edge_effnet.io.files import umask, write_whole

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_RENAME_SWAP = 2  # sys/stdio.h of macOS


def exchange(first: Path, second: Path) -> bool:
    """Exchange two paths; False where the system or this file system cannot, and nothing was done."""
    one, two = os.fsencode(first), os.fsencode(second)
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        failed = library.renameat2(_AT_FDCWD, one, _AT_FDCWD, two, _RENAME_EXCHANGE)
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        failed = library.renamex_np(one, two, _RENAME_SWAP)
    else:
        return False
    return int(failed) == 0


_MACHINE_ERRORS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "no permission to write; choose another folder",
    errno.EPERM: "no permission to write; choose another folder",
    errno.EFBIG: "the file would grow beyond this system's limit; choose another disk",
    errno.EIO: "the disk fails; choose another",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def explained_writes(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one sentence.

    Raises:
        MachineError: full or read-only disk, no permission.
    """
    try:
        yield
    except OSError as error:
        reason = _MACHINE_ERRORS.get(error.errno or 0, f"{error.strerror}; choose another folder")
        raise MachineError(f"{path}: cannot be written: {reason}.") from error


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder beside `target`; on success it takes the place of `target`, else it vanishes.

    Raises:
        MachineError: full or read-only disk, no permission.
    """
    with explained_writes(target):
        target = target.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _beside(target, ".tmp", target.parent)
        try:
            temporary.chmod(0o777 & ~umask())
            yield temporary
            _sync_tree(temporary)
            _replace_folder(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file under a temporary name beside `target`, then rename it.

    Raises:
        MachineError: full or read-only disk, no permission.
    """
    with explained_writes(target):
        write_whole(target, data)


def require_writable(target: Path) -> None:
    """Refuse a place where `atomic_folder` or `write_atomically` would fail after all the work.

    Only an attempt tells: a temporary folder is made, where the one of the real writing would be, and removed.

    Raises:
        MachineError: no permission to write beside `target`, a file where its parent folder should be, or a name that
            is too long.
    """
    with explained_writes(target):
        place = target.parent.resolve() / target.name
        parent = next((folder for folder in place.parents if folder.exists()), place)
        if not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{parent} is a file")
        if os.path.ismount(target):
            raise OSError(errno.EBUSY, "it is a mount point, which cannot be replaced")
        _beside(place, ".tmp", parent).rmdir()


def _beside(target: Path, suffix: str, parent: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=suffix, dir=parent))


def _replace_folder(temporary: Path, target: Path) -> None:
    """Exchange the two; where the system cannot, rename, with the old folder out of the way for an instant."""
    if not target.exists():
        try:
            temporary.rename(target)
            return
        except OSError as error:  # another process may have been faster, and put its own folder there
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    if exchange(temporary, target):
        return
    attic = _beside(target, ".old", target.parent)
    retired = attic / target.name
    try:
        target.rename(retired)
        temporary.rename(target)
    finally:
        if not target.exists() and retired.exists():
            retired.rename(target)
        shutil.rmtree(attic, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
