"""Temporary files and folders that say whose they are, so that the next process can sweep what a killed one left."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SCRATCH = "edge-effnet"
"""Start of the names in the system's folder for temporary files."""

# Another machine may share the folder, and its processes' numbers mean nothing here.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]

_OWNER = re.compile(rf"{_HOST}-(?P<process>\d+)\.")


def prefix_of(name: str) -> str:
    """Start of a temporary name for `name`: hidden, and with this machine and process in it."""
    return f".{name}.{_HOST}-{os.getpid()}."


def sweep(target: Path) -> None:
    """Remove temporary files and folders for `target` whose processes are gone; put back what one had moved away.

    Between taking an old folder away and putting the new one there a process may have been killed: then the old one
    is what there is.
    """
    start = f".{target.name}."
    for path in _abandoned(target.parent, start):
        retired = path / target.name
        if path.suffix == ".old" and retired.exists() and not target.exists():
            retired.rename(target)
        _remove(path)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder below the system's for temporary files that vanishes at the end; those of the dead are swept.

    Raises:
        OSError: no room or no permission.
    """
    parent = Path(tempfile.gettempdir())
    for path in _abandoned(parent, f"{SCRATCH}."):
        _remove(path)
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}.{_HOST}-{os.getpid()}.", dir=parent) as folder:
        yield Path(folder)


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Let everything in this process and its children, libraries too, keep temporary files in one folder with a name.

    A killed process cannot remove it; the next one does, since the name says that its process is gone.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder())
        except OSError:  # no place for temporary files: what needs one will say so, and --help needs none
            yield
            return
        before = tempfile.tempdir, os.environ.get("TMPDIR")
        tempfile.tempdir, os.environ["TMPDIR"] = str(folder), str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            os.environ.pop("TMPDIR") if before[1] is None else os.environ.update(TMPDIR=before[1])


def _abandoned(folder: Path, start: str) -> list[Path]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            owner = _OWNER.match(entry.name.removeprefix(start)) if entry.name.startswith(start) else None
            if owner is not None and not _lives(int(owner["process"])) and _is_ours(entry):
                found.append(Path(entry.path))
    return found


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether this user made it, and it is what it seems: anybody may put a link into a shared folder."""
    try:
        return not entry.is_symlink() and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    except OSError:  # gone meanwhile
        return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    """Remove it as far as it goes: another process may be sweeping too."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
