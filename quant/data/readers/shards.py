"""WebDataset shards: tar files of pictures (`KEY.jpg`) with their classes (`KEY.cls`), read as a stream.

A sample is the members of one key that follow each other.
"""

from __future__ import annotations

import random
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES, decode_rgb
from edge_effnet.io.files import open_given
from edge_effnet.io.text import LONGEST, brief
from quant.common.progress import Progress
from quant.data.classes import list_text
from quant.data.readers.labelled import Item, require_classes

BUFFER = 2000
"""Samples among which the stream is shuffled, besides the order of the shards."""

CLASS_LIST = "classes.txt"
"""Beside train/ and val/: class names by index, one a line, for shards whose `.cls` holds indices."""

_NUMBERS_A_SHARD = 1 << 22

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
            raise InputError(f"{self.name}: has {len(suffixes)} images; a sample is one with one .cls entry.")
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
                f"{shard}: {brief(repr(member.name))} is a sparse member, which no image is; write the shard "
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


def find_shards(folder: Path) -> list[Path]:
    """List the tar files of a folder, sorted."""
    return sorted(p for p in folder.glob("*.tar") if not p.name.startswith("."))


def listed_classes(data: Path) -> tuple[str, ...] | None:
    """Class names by index, as `classes.txt` of a data folder gives them; None without one.

    Raises:
        InputError: it cannot be read, or a name is not one line of text.
    """
    path = data / CLASS_LIST
    if not path.exists():
        return None
    lines = map(str.strip, list_text(path, str(path)).split("\n"))
    return require_class_names(filter(None, lines), path) or None


class ShardImages:
    """The samples of several shards; each process of a run reads all of them and takes its part."""

    def __init__(
        self, shards: Sequence[Path], *, class_names: Sequence[str] | None, progress: Progress, buffer: int = BUFFER
    ) -> None:
        """Count the samples and collect their classes: one pass over the tar headers and `.cls` entries.

        Args:
            shards: the tar files.
            class_names: by index; None takes the sorted names that the `.cls` entries hold.
            progress: told of the shards.
            buffer: samples among which the stream is shuffled; they are kept in memory, encoded.

        Raises:
            InputError: a damaged shard, a sample without a class or with one that is no line of text, no samples, or
                classes other than `class_names`.
        """
        self._shards, self._buffer = list(shards), buffer
        found: dict[str, str] = {}
        self._count = 0
        with progress.stage("Counting shards", len(self._shards)) as advance:
            for shard in self._shards:
                for sample in samples_of(shard):
                    found.setdefault(sample.class_name(), sample.class_member)
                    self._count += 1
                advance(1)
        where = self._shards[0].parent
        if not self._count:
            raise InputError(f"{where}: the shards hold no samples with a .cls entry.")
        self.first_members: Mapping[str, str] = found
        """Where the text of each class was first read, for messages."""
        self.class_names = tuple(class_names) if class_names else _sorted_names(set(found), where)
        self._index = {name: i for i, name in enumerate(self.class_names)}
        expected: Sequence[str] = self.class_names
        if not found.keys() <= self._index.keys() and all(map(str.isdecimal, found)):
            self._index = {str(i): i for i in range(len(self.class_names))}
            expected = sorted(self._index)
        require_classes(where, sorted(found), expected)

    def __len__(self) -> int:
        """Count of the samples in all shards."""
        return self._count

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every sample once; with a seed the shards are shuffled, then the samples within the buffer."""
        numbered = list(enumerate(self._shards))
        if seed is None:
            yield from self._stream(numbered)
            return
        try:
            import webdataset  # noqa: PLC0415
        except ImportError as error:
            raise InputError(
                f"{self._shards[0].parent}: training on shards needs the webdataset library; "
                "pip install 'edge-effnet[training]'."
            ) from error
        rng = random.Random(f"{seed}-{epoch}")
        rng.shuffle(numbered)
        yield from webdataset.filters.shuffle(self._buffer, initial=self._buffer, rng=rng)(self._stream(numbered))

    def image(self, item: Item) -> Image.Image:
        """Decode one sample."""
        return decode_rgb(BytesIO(item.data), item.name)

    def _stream(self, shards: Sequence[tuple[int, Path]]) -> Iterator[Item]:
        for place, shard in shards:
            for within, sample in enumerate(samples_of(shard)):
                label = self._index.get(sample.class_name())
                if label is None:
                    raise InputError(f"{sample.class_member}: was changed while it was read; start again.")
                yield Item(place * _NUMBERS_A_SHARD + within, label, sample.picture(), sample.name)


def _sorted_names(found: set[str], where: Path) -> tuple[str, ...]:
    if not all(map(str.isdecimal, found)):
        return tuple(sorted(found))
    indices = tuple(map(str, range(len(found))))
    if found != set(indices):
        raise InputError(
            f"{where}: the class indices are not 0..{len(found) - 1}: some class has no samples; add {CLASS_LIST} "
            "with all class names, or renumber."
        )
    return indices
