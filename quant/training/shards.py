"""WebDataset shards: tar files of pictures (`KEY.jpg`) with their classes (`KEY.cls`), read as a stream."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from PIL import Image

from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES, open_rgb
from quant.progress import Progress
from quant.training.datasets import Item, require_classes

BUFFER = 2000
"""Samples among which the stream is shuffled, besides the order of the shards."""

CLASS_LIST = "classes.txt"
"""Beside train/ and val/: class names by index, one a line, for shards whose `.cls` holds indices."""

_NUMBERS_A_SHARD = 1 << 22
_END_OF_TAR = 1024

# Samples are read into memory, one after the other; the largest photographs have some 100 MB.
_MAX_MEMBER_BYTES = 512 * 1024 * 1024


def find_shards(folder: Path) -> list[Path]:
    """List the tar files of a folder, sorted."""
    return sorted(p for p in folder.glob("*.tar") if not p.name.startswith("."))


def listed_classes(data: Path) -> tuple[str, ...] | None:
    """Class names by index, as `classes.txt` of a data folder gives them; None without one.

    Raises:
        InputError: it cannot be read.
    """
    path = data / CLASS_LIST
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}).") from error
    return tuple(line.strip() for line in lines if line.strip()) or None


class ShardImages:
    """The samples of several shards; each process of a run reads all of them and takes its part."""

    def __init__(
        self,
        shards: Sequence[Path],
        *,
        class_names: Sequence[str] | None,
        progress: Progress,
        buffer: int = BUFFER,
    ) -> None:
        """Count the samples and collect their classes: one pass over the tar headers and `.cls` entries.

        Args:
            shards: the tar files.
            class_names: by index; None takes the sorted names that the `.cls` entries hold.
            progress: told of the shards.
            buffer: samples among which the stream is shuffled; they are kept in memory, encoded.

        Raises:
            InputError: a damaged shard, no samples, or classes other than `class_names`.
        """
        self._shards, self._buffer = list(shards), buffer
        found: set[str] = set()
        self._count = 0
        with progress.stage("Counting shards", len(self._shards)) as advance:
            for shard in self._shards:
                _require_complete(shard)
                for sample in _samples(shard, labels_only=True):
                    found.add(_class_of(sample, shard))
                    self._count += 1
                advance(1)
        where = self._shards[0].parent
        if not self._count:
            raise InputError(f"{where}: the shards hold no samples with a .cls entry.")
        self.class_names = tuple(class_names) if class_names else _sorted_names(found, where)
        self._index = {name: i for i, name in enumerate(self.class_names)}
        named = all(name in self._index for name in found)
        if not named and all(name.isdecimal() for name in found):
            self._index = {str(i): i for i in range(len(self.class_names))}
            require_classes(where, sorted(found), sorted(self._index))
        else:
            require_classes(where, sorted(found), self.class_names)

    def __len__(self) -> int:
        """Count of the samples in all shards."""
        return self._count

    def items(self, *, seed: int | None = None, epoch: int = 0) -> Iterator[Item]:
        """Every sample once; with a seed the shards are shuffled, then the samples within the buffer."""
        numbered = list(enumerate(self._shards))
        if seed is None:
            yield from self._stream(numbered)
            return
        import webdataset  # noqa: PLC0415

        rng = random.Random(f"{seed}-{epoch}")
        rng.shuffle(numbered)
        yield from webdataset.filters.shuffle(self._buffer, initial=self._buffer, rng=rng)(self._stream(numbered))

    def image(self, item: Item) -> Image.Image:
        """Decode one sample."""
        # open_rgb names what it was given in its messages.
        return open_rgb(cast(Path, _NamedBytes(item.data, item.name)))

    def _stream(self, shards: Sequence[tuple[int, Path]]) -> Iterator[Item]:
        for place, shard in shards:
            for within, sample in enumerate(_samples(shard, labels_only=False)):
                name = f"{shard}:{sample['__key__']}"
                pictures = [data for suffix, data in sample.items() if f".{suffix}" in IMAGE_SUFFIXES]
                if len(pictures) != 1:
                    raise InputError(f"{name}: has {len(pictures)} pictures; a sample is one with one .cls entry.")
                label = self._index[_class_of(sample, shard)]
                yield Item(place * _NUMBERS_A_SHARD + within, label, pictures[0], name)


class _NamedBytes(io.BytesIO):
    """A file in memory that prints as its name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self._name = name

    def __str__(self) -> str:
        return self._name


def _require_complete(shard: Path) -> None:
    """Look for the two empty blocks that end a tar file: cut at a header, tarfile takes it for a shorter one.

    Raises:
        InputError: they are missing.
    """
    try:
        with shard.open("rb") as file:
            file.seek(-min(_END_OF_TAR, shard.stat().st_size), io.SEEK_END)
            complete = file.read() == bytes(_END_OF_TAR)
    except OSError as error:
        raise InputError(f"{shard}: cannot be read ({error.strerror}).") from error
    if not complete:
        raise InputError(f"{shard}: not a complete tar file; copy it again.")
    try:
        # Plain tar only: a compressed one could be any size inside.
        with tarfile.open(shard, "r:") as tar:
            large = next((member for member in tar if member.size > _MAX_MEMBER_BYTES), None)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{shard}: not a complete tar file ({error}); copy it again.") from error
    if large is not None:
        raise InputError(f"{shard}: {large.name!r} has {large.size} bytes, which is no photograph; remove it.")


def _samples(shard: Path, *, labels_only: bool) -> Iterator[dict[str, Any]]:
    """Read one shard through webdataset, in its own order."""
    try:
        import webdataset  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"{shard}: reading shards needs the webdataset library; pip install 'edge-effnet[training]'."
        ) from error
    only = (lambda name: name.lower().endswith(".cls")) if labels_only else None
    try:
        with shard.open("rb") as stream:
            source = [{"url": str(shard), "stream": stream}]
            files = webdataset.tariterators.tar_file_expander(source, select_files=only)
            yield from webdataset.tariterators.group_by_keys(files)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{shard}: not a complete tar file ({error}); copy it again.") from error
    except ValueError as error:
        # What webdataset raises of a sample that has two entries of one kind: "NAME: duplicate file name in ...".
        name = str(error.args[0]).split(": duplicate", maxsplit=1)[0]
        raise InputError(f"{shard}: {name!r} is in it twice; write the shard anew, each name once.") from error


def _class_of(sample: dict[str, Any], shard: Path) -> str:
    try:
        return str(sample["cls"].decode().strip())
    except (KeyError, UnicodeDecodeError) as error:
        key = sample.get("__key__")
        raise InputError(f"{shard}:{key}: has no readable .cls entry; it holds a class name or index.") from error


def _sorted_names(found: set[str], where: Path) -> tuple[str, ...]:
    if not all(name.isdecimal() for name in found):
        return tuple(sorted(found))
    count = len(found)
    if found != {str(i) for i in range(count)}:
        raise InputError(
            f"{where}: the class indices are not 0..{count - 1}: some class has no samples; add {CLASS_LIST} "
            "with all class names, or renumber."
        )
    return tuple(str(i) for i in range(count))
