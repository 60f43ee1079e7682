"""Tar files of others, read header by header: nothing in them is unpacked, followed or believed beyond their end.

`tarfile` itself looks for compressions, calls itself once for each header before a member, reads those headers whole
whatever size they claim, and fills the holes of sparse members.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_effnet.errors import InputError
from edge_effnet.io.files import open_given
from edge_effnet.io.text import brief

_BLOCK = tarfile.BLOCKSIZE

# Names have some hundred bytes; what a Mac adds to a file lies in such headers too.
_MAX_EXTENSION = 1024 * 1024

# Writers fill their last record, 10 KB by default, with zeros.
_MAX_PADDING = 1024 * 1024

_WITH_DATA = frozenset(tarfile.REGULAR_TYPES) - {tarfile.GNUTYPE_SPARSE}
_WITHOUT_DATA = frozenset(tarfile.SUPPORTED_TYPES) - frozenset(tarfile.REGULAR_TYPES) - frozenset(tarfile.GNU_TYPES)


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in a tar file."""

    name: str
    size: int
    """Bytes, all of them in the tar file."""
    offset: int
    """Where they begin."""


class PlainTar:
    """The regular files of an uncompressed tar file, in their order."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        """Take an open file; `path` is for messages."""
        self._file, self._path = file, path

    def __iter__(self) -> Iterator[Member]:
        """Walk over the headers; links, folders and devices are passed by.

        Raises:
            InputError: cut off, damaged, compressed, a member with holes, or data after the end.
        """
        try:
            yield from self._members()
        except (tarfile.TarError, OSError) as error:
            raise self._incomplete(error) from error

    def read(self, member: Member) -> bytes:
        """Return a member's content.

        Raises:
            InputError: it cannot be read.
        """
        try:
            return self._bytes(member.offset, member.size)
        except (tarfile.TarError, OSError) as error:
            raise self._incomplete(error) from error

    def _members(self) -> Iterator[Member]:
        end = self._file.seek(0, io.SEEK_END)
        offset = 0
        extended: dict[str, bytes] = {}
        while any(block := self._bytes(offset, _BLOCK)):
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            start, size = offset + _BLOCK, header.size
            if header.type in _WITH_DATA and "size" in extended:
                size = _number(extended["size"])
            if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in extended):
                raise InputError(
                    f"{self._path}: {brief(repr(header.name))} is a sparse member, which no picture is; write the "
                    "shard again, without --sparse."
                )
            if header.type in _WITHOUT_DATA:
                size = 0
            offset = start + size + -size % _BLOCK
            if size < 0 or offset > end:
                raise tarfile.ReadError("cut off")
            if header.type in _EXTENSIONS:
                if size > _MAX_EXTENSION:
                    raise tarfile.ReadError(f"a header of {size} bytes")
                extended |= _EXTENSIONS[header.type](self._bytes(start, size))
                continue
            if header.type in _WITH_DATA:
                name = extended["path"].decode("utf-8", "surrogateescape") if "path" in extended else header.name
                yield Member(name, size, start)
            extended = {}
        self._require_end(offset, end)

    def _require_end(self, offset: int, end: int) -> None:
        """Look for two empty blocks and nothing after them: cut at a header, a tar file would be a shorter one."""
        if end - offset < 2 * _BLOCK:
            raise tarfile.ReadError("cut off")
        if end - offset > _MAX_PADDING or any(self._bytes(offset, end - offset)):
            raise InputError(
                f"{self._path}: continues after its end, as tar files do that were joined; write it again as one."
            )

    def _bytes(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise tarfile.ReadError("cut off")
        return data

    def _incomplete(self, error: Exception) -> InputError:
        return InputError(f"{self._path}: not a complete tar file, uncompressed ({error}); write or copy it again.")


@contextmanager
def open_tar(path: Path) -> Iterator[PlainTar]:
    """Open a tar file inside the block.

    Raises:
        InputError: it cannot be read, or is no regular file.
    """
    with open_given(path, limit=None) as file:
        yield PlainTar(file, path)


def _long_name(data: bytes) -> dict[str, bytes]:
    return {"path": data.split(b"\0", maxsplit=1)[0]}


def _records(data: bytes) -> dict[str, bytes]:
    """Parse records `LENGTH KEY=VALUE`, each a line that LENGTH counts whole (POSIX.1-2008, pax)."""
    found, place, data = {}, 0, data.rstrip(b"\0")
    while place < len(data):
        digits, _, _ = data[place : place + 20].partition(b" ")
        end = place + _number(digits)
        key, equals, value = data[place + len(digits) + 1 : end].partition(b"=")
        if end > len(data) or not equals or not value.endswith(b"\n"):
            raise tarfile.ReadError("a broken extended header")
        found[key.decode("utf-8", "surrogateescape")] = value[:-1]
        place = end
    return found


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise tarfile.ReadError("a broken extended header")
    return int(digits)


_EXTENSIONS: dict[bytes, Callable[[bytes], dict[str, bytes]]] = {
    tarfile.GNUTYPE_LONGNAME: _long_name,
    tarfile.GNUTYPE_LONGLINK: lambda _data: {},
    tarfile.XHDTYPE: _records,
    tarfile.SOLARIS_XHDTYPE: _records,
    tarfile.XGLTYPE: lambda _data: {},
}
"""Headers before a member that say more about it, and what they say; of the archive as a whole nothing is needed."""
