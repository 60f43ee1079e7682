"""Files that the user names or puts into a folder: opened, or refused in one sentence."""

from __future__ import annotations

import os
from io import BufferedReader
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.regular_file import open_regular


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
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); replace or remove it.") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}; replace or remove it.") from error
    if limit is not None and (size := os.fstat(file.fileno()).st_size) > limit:
        file.close()
        raise InputError(f"{path}: has {size} bytes, more than the {limit} allowed; replace or remove it.")
    return file
