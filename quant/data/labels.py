"""From the rows of a label file to images and their targets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES
from edge_effnet.io.text import brief
from quant.common.findings import Finding, finding
from quant.data.classes import some
from quant.data.readers.label_file import LabelFile
from quant.thresholds import DUPLICATE_SHARE

_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What a label file says about the images that there are."""

    file: LabelFile
    by_image: Mapping[Path, tuple[str, ...]]
    """A class, labels, or numbers of each image that is listed and there."""
    findings: tuple[Finding, ...]
    """What is only in the file, or contradicts itself: one each."""

    def list_any_in(self, root: Path) -> bool:
        """Whether an image of a folder is listed."""
        return any(path.is_relative_to(root) for path in self.by_image)


def label_images(file: LabelFile, images: Sequence[Path]) -> Labels:
    """Find the image of each row among all there are, by path, name, or name without suffix.

    Raises:
        InputError: no row names an image, one names several, or more than `DUPLICATE_SHARE` have two labels.
    """
    places = _Places.of(images, [key for key, _ in file.rows])
    found: dict[Path, tuple[str, ...]] = {}
    absent: list[str] = []
    torn: dict[Path, str] = {}
    for key, label in file.rows:
        image = places.find(key, file.path)
        if image is None:
            absent.append(key)
        elif file.kind == "labels":
            found[image] = tuple(dict.fromkeys((*found.get(image, ()), *label)))  # a row a label
        elif found.setdefault(image, label) != label:
            torn[image] = f"{image.name}: {brief(' '.join(found[image]))}, {brief(' '.join(label))}"
    if not found:
        raise InputError(
            f"{file.path}: none of its {len(file.rows)} rows ({brief(file.rows[0][0])}, ...) names an image of the "
            "folder; is it the right file, and --image-column the right column?"
        )
    if len(torn) > DUPLICATE_SHARE * len(found):
        raise InputError(
            f"{file.path}: {len(torn)} of {len(found)} images have two labels ({next(iter(torn.values()))}), more "
            f"than {DUPLICATE_SHARE:.0%}; one row an image is needed."
        )
    said = []
    if absent:
        message = f"{file.path.name} lists {len(absent)} images that are not there ({_few(absent)})."
        said.append(finding("images-left-out", message))
    if torn:
        message = f"Left out {len(torn)} images that {file.path.name} gives two labels."
        said.append(finding("images-left-out", message, items=torn.values()))
    kept = {image: label for image, label in found.items() if image not in torn}
    return Labels(file=file, by_image=kept, findings=tuple(said))


def unlisted_finding(file: LabelFile, images: Sequence[Path]) -> tuple[Finding, ...]:
    """One note on the images that a file does not list; none where it lists all."""
    if not images:
        return ()
    few = _few([image.name for image in images])
    message = f"Left out {len(images)} images that {file.path.name} does not list ({few})."
    return (finding("images-left-out", message),)


def targets_of(
    file: LabelFile, labels: Mapping[Path, tuple[str, ...]], names: Sequence[str] | None, outputs: int
) -> tuple[dict[Path, tuple[float, ...]], tuple[str, ...] | None]:
    """Turn the labels or numbers of images into one number for each of the network's outputs, by name where known.

    Returns:
        Targets by image, and the outputs' names; None for numbers without headers.

    Raises:
        InputError: other labels than the outputs', or another number of numbers.
    """
    if file.kind == "numbers":
        counts = {len(numbers) for numbers in labels.values()}
        if counts != {outputs}:
            raise InputError(
                f"{file.path}: {' or '.join(map(str, sorted(counts)))} numbers an image, the network has {outputs} "
                "outputs; name as many columns in their order: --label-column A,B,..."
            )
        numbers = {image: tuple(map(float, own)) for image, own in labels.items()}
        return numbers, None if names is None else tuple(names)
    used = sorted({name for label in labels.values() for name in label})
    known = tuple(names if names is not None else file.columns or used)
    index = {name: i for i, name in enumerate(known)}
    if names is None and not file.columns and all(map(is_index, used)):
        known, index = (), {str(i): i for i in range(outputs)}
    unknown = [name for name in used if name not in index]
    if unknown or len(index) != outputs:
        fault = f"labels that it does not have: {some(unknown)}" if unknown else f"{len(index)} labels"
        raise InputError(
            f"{file.path}: {fault}; the network has {outputs} outputs, and their names in order are needed: "
            "--classes FILE."
        )
    rows = {image: {index[name] for name in label} for image, label in labels.items()}
    targets = {image: tuple(float(i in row) for i in range(outputs)) for image, row in rows.items()}
    return targets, known or None


def is_index(name: str) -> bool:
    """Whether a label is the number of an output, which have nine digits at most."""
    return name.isdecimal() and len(name) < 10


def _parts(key: str) -> tuple[str, ...]:
    """Folders and name of an image as a row writes it."""
    return tuple(part for part in key.replace("\\", "/").split("/") if part not in ("", "."))


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(brief, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


@dataclass(frozen=True, slots=True)
class _Places:
    """Images by their names, with and without suffix."""

    by_name: Mapping[str, Sequence[Path]]
    ends: Mapping[tuple[str, ...], int]
    """How many rows' paths end so."""

    @classmethod
    def of(cls, images: Sequence[Path], keys: Iterable[str]) -> _Places:
        by_name: dict[str, list[Path]] = defaultdict(list)
        for image in images:
            by_name[image.name].append(image)
            by_name[image.stem].append(image)
        paths = map(_parts, set(keys))
        return cls(by_name, Counter(path[-end:] for path in paths for end in range(1, len(path) + 1)))

    def find(self, key: str, where: Path) -> Path | None:
        """The image that a row names; None where there is none.

        As many folders have to be the image's as tell the row from others: those before may be another machine's.
        """
        parts = _parts(key)
        if not parts:
            return None
        found: Sequence[Path] = self.by_name.get(parts[-1], ())
        name = Path(parts[-1])
        if not found and name.suffix.lower() in IMAGE_SUFFIXES:
            found = self.by_name.get(name.stem, ())  # saved again in another format
        for end in range(1, len(parts) + 1):
            found = [p for p in found if p.parts[-end:-1] == parts[-end:-1]]
            if len(found) < 2 and self.ends[parts[-end:]] == 1:
                break
        if len(found) > 1:
            raise InputError(
                f"{where}: {brief(key)} names several images ({found[0]} and {found[1]}); write their folders too."
            )
        return found[0] if found else None
