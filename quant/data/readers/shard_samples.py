"""The samples of a shard: members of one key that follow each other, a picture (`KEY.jpg`), its class (`KEY.cls`)."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES
from edge_effnet.io.files import open_given
from edge_effnet.io.text import LONGEST, brief

_CLASS = "cls"

# Samples are read into memory, one after the other; the largest images have some 100 MB.
_MAX_PICTURE_BYTES = 512 * 1024 * 1024

_MAX_CLASS_BYTES = 1024

# Writers fill their last record, 10 KB by default, with zeros.
_MAX_PADDING = 1024 * 1024

_ABOUT_THE_SHARD = re.compile(r"__[^/]*__($|/)")
"""Names that webdataset keeps for itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and its class; read while its shard is walked over."""

    key: str
    """Its members' name without the suffix."""
    name: str
    """`SHARD:KEY`, for messages."""
    shard: BinaryIO
    members: dict[str, tarfile.TarInfo]
    """By suffix, in lower case."""

    @property
    def class_member(self) -> str:
        """Where the class is written, for messages."""
        return f"{self.name}.{_CLASS}"

    def class_name(self) -> str:
        """Read the class: a name or an index.

        Raises:
            InputError: there is none, or it is no line of text.
        """
        if _CLASS not in self.members:
            raise InputError(f"{self.name}: has no .cls entry; it holds a class name or index.")
        try:
            text = self._read(_CLASS, _MAX_CLASS_BYTES, "class name").decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name}: has no readable .cls entry; it holds a class name or index, in UTF-8."
            ) from error
        if not text:
            raise InputError(f"{self.class_member}: is empty; it holds a class name or index.")
        require_class_names([text], self.class_member)
        return text

    def picture(self) -> bytes:
        """Read the picture, encoded.

        Raises:
            InputError: there is other than one, or it is too large.
        """
        suffixes = [suffix for suffix in self.members if suffix != _CLASS]
        if len(suffixes) != 1:
            raise InputError(f"{self.name}: has {len(suffixes)} pictures; a sample is one with one .cls entry.")
        return self._read(suffixes[0], _MAX_PICTURE_BYTES, "image")

    def _read(self, suffix: str, limit: int, what: str) -> bytes:
        member = self.members[suffix]
        if member.size > limit:
            raise InputError(f"{self.name}.{suffix}: has {member.size} bytes, which is no {what}; remove the sample.")
        self.shard.seek(member.offset_data)
        data = self.shard.read(member.size)
        if len(data) < member.size:
            raise InputError(f"{self.name}.{suffix}: cut off; write or copy the shard again.")
        return data


def samples_of(shard: Path) -> Iterator[Sample]:
    """Walk over a shard, an uncompressed tar file; what is no picture and no class is passed by.

    Raises:
        InputError: a damaged shard, a member with holes, or a key that has two members of one kind.
    """
    try:
        with (
            open_given(shard, limit=None) as file,
            tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar,
        ):
            yield from _samples(shard, file, tar)
    except InputError:
        raise
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{shard}: not a complete tar file, uncompressed ({error}); write or copy it again."
        ) from error


def _samples(shard: Path, file: BinaryIO, tar: tarfile.TarFile) -> Iterator[Sample]:
    sample: Sample | None = None
    for member in tar:
        if member.issparse():
            raise InputError(
                f"{shard}: {brief(repr(member.name))} is a sparse member, which no picture is; write the shard "
                "again, without --sparse."
            )
        key, suffix = _split(member.name) if member.isreg() else ("", "")
        if suffix != _CLASS and f".{suffix}" not in IMAGE_SUFFIXES:
            continue
        if sample is None or key != sample.key:
            if sample is not None:
                yield sample
            # Of a long key the end is what tells it from others.
            sample = Sample(key, f"{shard}:{brief(key[-LONGEST:])}", file, {})
        if suffix in sample.members:
            raise InputError(f"{sample.name}.{suffix}: is in it twice; write the shard again, each name once.")
        sample.members[suffix] = member
    _require_end(shard, file, tar.offset)
    if sample is not None:
        yield sample


def _require_end(shard: Path, file: BinaryIO, offset: int) -> None:
    """Look for two empty blocks and nothing behind: `tarfile` takes a header that was cut or damaged for the end."""
    file.seek(offset)
    end, rest = file.read(2 * tarfile.BLOCKSIZE), file.read(_MAX_PADDING + 1)
    if end != bytes(2 * tarfile.BLOCKSIZE):
        raise tarfile.ReadError("cut off")
    if len(rest) > _MAX_PADDING or any(rest):
        raise InputError(
            f"{shard}: continues after its end, as tar files do that were joined; write it again as one."
        )


def _split(name: str) -> tuple[str, str]:
    """Split at the first dot of the last part: `a/b.seg.png` is key `a/b`, suffix `seg.png`."""
    stem, _, suffix = name.rpartition("/")[2].partition(".")
    hidden = not stem or _ABOUT_THE_SHARD.match(name)
    return ("", "") if hidden else (name[: len(name) - len(suffix) - 1], suffix.lower())
