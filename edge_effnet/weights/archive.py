"""The zip around a `.pth`: accepted where it can be read in one way only, and unpacks to no more than it is."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from edge_effnet.errors import InputError

ZIP_SIGNATURE = b"PK\x03\x04"
"""How torch tells a zip from the older format."""

# APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16.
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_SIZE_AND_SIGNATURE = 12
"""Bytes of a zip64 record that its own size leaves out."""


def require_plain_archive(path: Path) -> None:
    """Refuse a zip that torch never writes: compressed, or with more than one possible directory.

    Python's reader looks for the directory before the record at the end of the file, torch's at the offset that the
    record tells: a file with two would show one of them what the other never sees.

    Raises:
        InputError: compressed.
        zipfile.BadZipFile: more than one directory, something appended, or a damaged file.
    """
    if not _has_one_directory(path):
        raise zipfile.BadZipFile("the directory is not where the last bytes say")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    # torch stores tensors as they are, which lets them be mapped instead of read.
    size, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
    compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if compressed or unpacked > size:
        raise InputError(
            f"{path}: a zip whose {size} bytes unpack to {unpacked}, which no PyTorch weight file does; do "
            "not use it, or save it again with torch.save."
        )


def pickles_of(path: Path) -> list[bytes]:
    """The records of a zip that torch may unpickle; it does not mind the case of names."""
    with zipfile.ZipFile(path) as archive:
        return [archive.read(entry) for entry in archive.infolist() if entry.filename.lower().endswith(".pkl")]


def _has_one_directory(path: Path) -> bool:
    """Whether the directory ends where the records about it begin, and these are the end of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END.size - _LOCATOR.size - _END64.size))
        tail = file.read()
    if len(tail) < _END.size:
        return False
    signature, disk, first_disk, here, entries, directory, offset, comment = _END.unpack(tail[-_END.size :])
    if signature != _END_SIGNATURE or disk or first_disk or here != entries or comment:
        return False
    end, before = size - _END.size, tail[: -_END.size]
    if not before[-_LOCATOR.size :].startswith(_LOCATOR_SIGNATURE):
        return bool(offset + directory == end)
    _, disk, record, disks = _LOCATOR.unpack(before[-_LOCATOR.size :])
    end -= _LOCATOR.size + _END64.size
    if disk or disks != 1 or record != end:
        return False
    signature, length, _, _, disk, first_disk, here64, entries64, directory64, offset64 = _END64.unpack(
        before[-_LOCATOR.size - _END64.size : -_LOCATOR.size]
    )
    # What does not fit into the older record is there as its largest number.
    fits = (
        entries == min(entries64, 0xFFFF)
        and directory == min(directory64, 0xFFFFFFFF)
        and offset == min(offset64, 0xFFFFFFFF)
    )
    return bool(
        signature == _END64_SIGNATURE
        and length == _END64.size - _SIZE_AND_SIGNATURE
        and not (disk or first_disk)
        and here64 == entries64
        and fits
        and offset64 + directory64 == end
    )
