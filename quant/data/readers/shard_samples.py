"""The samples of a shard: members of one key that follow each other, a picture (`KEY.jpg`), its class (`KEY.cls`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES
from edge_effnet.io.text import LONGEST, brief
from quant.data.readers.plain_tar import Member, PlainTar, open_tar

_CLASS = "cls"

# Samples are read into memory, one after the other; the largest images have some 100 MB.
_MAX_PICTURE_BYTES = 512 * 1024 * 1024

_MAX_CLASS_BYTES = 1024

_ABOUT_THE_SHARD = re.compile(r"__[^/]*__($|/)")
"""Names that webdataset keeps for itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and its class; read while its shard is walked over."""

    key: str
    """Its members' name without the suffix."""
    name: str
    """`SHARD:KEY`, for messages."""
    tar: PlainTar
    members: dict[str, Member]
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
        return self.tar.read(member)


def samples_of(shard: Path) -> Iterator[Sample]:
    """Walk over a shard; members other than pictures and classes are passed by.

    Raises:
        InputError: a damaged shard, or a key that has two members of one kind.
    """
    with open_tar(shard) as tar:
        sample: Sample | None = None
        for member in tar:
            key, suffix = _split(member.name)
            if suffix != _CLASS and f".{suffix}" not in IMAGE_SUFFIXES:
                continue
            if sample is None or key != sample.key:
                if sample is not None:
                    yield sample
                # Of a long key the end is what tells it from others.
                sample = Sample(key, f"{shard}:{brief(key[-LONGEST:])}", tar, {})
            if suffix in sample.members:
                raise InputError(f"{sample.name}.{suffix}: is in it twice; write the shard again, each name once.")
            sample.members[suffix] = member
        if sample is not None:
            yield sample


def _split(name: str) -> tuple[str, str]:
    """Split at the first dot of the last part: `a/b.seg.png` is key `a/b`, suffix `seg.png`."""
    stem, _, suffix = name.rpartition("/")[2].partition(".")
    hidden = not stem or _ABOUT_THE_SHARD.match(name)
    return ("", "") if hidden else (name[: len(name) - len(suffix) - 1], suffix.lower())
