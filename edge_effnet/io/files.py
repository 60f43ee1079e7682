"""Files of others, regular ones only, opened or refused in one sentence; and files of ours, whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from edge_effnet.errors import InputError, MachineError


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Raises:
        OSError: not there, or not readable.
        ValueError: something other than a regular file, or a name that no file can have.
    """
    return open(path, "rb", opener=_open)


def _open(path: str, flags: int) -> int:
    # Non-blocking, or opening a pipe would wait for a writer; looked at once it is open, when nobody can exchange it.
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a regular file")
    return descriptor


@contextmanager
def foreign(sentence: str) -> Iterator[None]:
    """Turn what a reader of a damaged or hostile file raises, whichever one meets it first, into an `InputError`.

    Too little memory is not the file's fault, and a sentence of our own says more than this one.

    Args:
        sentence: which file, what it is not, and what to do.

    Raises:
        InputError: in place of what the reader raised.
    """
    try:
        yield
    except (InputError, MachineError, MemoryError):
        raise
    except Exception as error:
        raise InputError(sentence) from error


def open_given(path: Path, *, limit: int | None) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: the file.
        limit: bytes that it may have: a file that is mostly a hole has more than any memory or patience; None for
            a file that is not read whole.

    Raises:
        InputError: it does not exist, cannot be read, is no regular file or is larger than `limit`.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError as error:
        kind = "a link to nothing; replace or remove it" if path.is_symlink() else "no such file"
        raise InputError(f"{path}: {kind}.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions.") from error
    except ValueError as error:
        # Whoever removed a folder because we said so might lose an artifact.
        kind = f"{error} but a folder" if path.is_dir() else str(error)
        raise InputError(f"{path}: {kind}; name a file.") from error
    if limit is not None and (size := os.fstat(file.fileno()).st_size) > limit:
        file.close()
        raise InputError(f"{path}: has {size} bytes, more than the {limit} allowed; replace or remove it.")
    return file


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it.

    Raises:
        OSError: full or read-only disk, no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def umask() -> int:
    """Permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder below the system's for temporary files that vanishes at the end.

    Raises:
        OSError: no room or no permission.
    """
    with tempfile.TemporaryDirectory(prefix="edge-effnet.") as folder:
        yield Path(folder)


def child_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with its module path as PYTHONPATH, absolute, and with some changes."""
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**os.environ, "PYTHONPATH": paths, **changes}
