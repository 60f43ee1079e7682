"""WebDataset shards: tar files of pictures (`KEY.jpg`) with their classes (`KEY.cls`), read as a stream."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.images import decode_rgb, image_format
from edge_effnet.io.files import open_given
from edge_effnet.io.text import brief
from quant.common.atomic_io import explained_writes
from quant.common.progress import Progress
from quant.data.halves import find_halves
from quant.data.readers.labelled import Item, require_classes
from quant.data.readers.shard_samples import samples_of

BUFFER = 2000
"""Samples among which the stream is shuffled, besides the order of the shards."""

CLASS_LIST = "classes.txt"
"""Beside train/ and val/: class names by index, one a line, for shards whose `.cls` holds indices."""

_NUMBERS_A_SHARD = 1 << 22

# A million classes with names of 16 letters.
_MAX_LIST_BYTES = 16 * 1024 * 1024


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
    with open_given(path, limit=_MAX_LIST_BYTES) as file:
        try:
            lines = file.read().decode("utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as text ({error}).") from error
    return require_class_names((line.strip() for line in lines if line.strip()), path) or None


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
    if not all(name.isdecimal() for name in found):
        return tuple(sorted(found))
    count = len(found)
    if found != {str(i) for i in range(count)}:
        raise InputError(
            f"{where}: the class indices are not 0..{count - 1}: some class has no samples; add {CLASS_LIST} "
            "with all class names, or renumber."
        )
    return tuple(str(i) for i in range(count))


_LONGEST_NAME = 255
"""Bytes of a file's name, on every usual file system."""


def holds_shards(data: Path) -> bool:
    """Whether `train/` or `val/` of a folder hold tar files."""
    return any(find_shards(folder) for folder in _halves(data).values())


def _halves(data: Path) -> dict[str, Path]:
    """Folders of `train` and `val`, by whatever names."""
    halves = find_halves(data) if data.is_dir() else None
    named = {} if halves is None else {"train": halves.train, "val": halves.val}
    return {half: folder for half, folder in named.items() if folder is not None}


def unpack_shards(data: Path, folder: Path, progress: Progress) -> None:
    """Write the samples of `data/train/*.tar` and `data/val/*.tar` as files in class folders.

    Args:
        data: where the shards are.
        folder: where to; gets `train/CLASS/`, `val/CLASS/` and `classes.txt`.
        progress: told of the samples.

    Raises:
        InputError: a damaged shard, a sample that is no picture, or a class name that is no name of a folder.
        MachineError: no room.
    """
    names = listed_classes(data)
    for half, shards in _halves(data).items():
        images = ShardImages(find_shards(shards), class_names=names, progress=progress)
        names = images.class_names
        _require_folder_names(images, data / CLASS_LIST)
        (folder / CLASS_LIST).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        with progress.stage(f"Unpacking {half}", len(images)) as advance, explained_writes(folder):
            for item in images.items():
                place = folder / half / names[item.label]
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{item.number:09d}.{image_format(BytesIO(item.data), item.name)}").write_bytes(item.data)
                advance(1)


def _require_folder_names(images: ShardImages, listed: Path) -> None:
    """Refuse class names that no folder can have, or that would be passed by as hidden."""
    for name in images.class_names:
        if "/" in name or name.startswith(".") or len(name.encode()) > _LONGEST_NAME:
            raise InputError(
                f"{images.first_members.get(name, listed)}: class name {brief(repr(name))} cannot be the name of a "
                f"folder (no '/', no '.' first, at most {_LONGEST_NAME} bytes); rename it."
            )
