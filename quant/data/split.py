"""A folder of images -> calibration and evaluation sets, proved disjoint."""

from __future__ import annotations

import hashlib
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.arrays import ARRAY_SUFFIXES
from edge_effnet.class_names import is_line_of_text
from edge_effnet.errors import InputError
from edge_effnet.images import IMAGE_SUFFIXES, MAX_FILE_BYTES
from edge_effnet.io.files import open_given
from quant.common.findings import Finding, Severity, finding, messages
from quant.thresholds import DEFAULT_CALIBRATION, MIN_CALIBRATION, MIN_SELECTION

ANY = 0
"""Instead of a number of classes: one a folder, however many, and other ones in `train/` than in `val/` if so."""

_LISTED = IMAGE_SUFFIXES | ARRAY_SUFFIXES


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRecord:
    """One image."""

    path: Path
    name: str
    """Path below the data folder, with `/`."""
    label: int | None
    """Class index; None where the folder has no class folders."""
    sha256: str
    """Of the file."""
    targets: tuple[float, ...] | None = None
    """What a network of another task should put out: one number an output; 0 or 1 for labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSplit:
    """What ranges are fitted on, and what the verdict is given on; no image is in both."""

    class_names: tuple[str, ...] | None
    """By class index; None without labels."""
    calibration: tuple[ImageRecord, ...]
    selection: tuple[ImageRecord, ...]
    """What settings are chosen on: neither fitted on nor judged on; empty where none were asked for or left."""
    evaluation: tuple[ImageRecord, ...]
    findings: tuple[Finding, ...]
    """What was done with the folder that the user may not expect."""
    training: tuple[ImageRecord, ...] = ()
    """What weights are trained on, the calibration images among them; empty where none were asked for."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The findings' sentences."""
        return messages(self.findings, *Severity)


@dataclass(frozen=True, slots=True)
class _Listed:
    path: Path
    name: str
    class_name: str | None


def split_images(
    data: Path,
    *,
    calibration: int,
    seed: int,
    class_names: tuple[str, ...] | None,
    num_classes: int | None,
    selection: int = 0,
    training: bool = False,
) -> DataSplit:
    """Find images and split them.

    With `train/` and `val/`, calibration comes from the first and evaluation is all of the second. Class folders
    alone, or images alone (no labels), are split by `seed`: at most half of each class calibrates.

    Args:
        data: the folder.
        calibration: images to calibrate on, spread evenly over the classes.
        seed: of the draw.
        class_names: as the weights have them; None takes the folder names in sorted order.
        num_classes: that the network tells apart, or `ANY`; None where it tells none apart, and makes nothing of
            folders.
        selection: images to choose settings on, from where those to calibrate on come from; fewer are given
            where fewer are left, of class folders alone at most a third of the others, and none below
            `MIN_SELECTION`.
        training: whether to give images to train on too: all of `train/`, or half of each class of class
            folders alone, without those of `selection`.

    Raises:
        InputError: no such folder, no images, classes that do not match the network's, a class without
            images, too few to calibrate on, or an image on both sides (byte for byte).
    """
    _require_folder(data)
    if calibration < MIN_CALIBRATION:
        raise InputError(f"--calibration {calibration}: ranges need at least {MIN_CALIBRATION} images.")
    rng = random.Random(seed)
    findings: list[Finding] = []
    drawn = (
        _from_halves(data, calibration, selection, class_names, num_classes, rng, findings)
        if _is_split(data, class_names)
        else _from_one(data, calibration, selection, class_names, num_classes, rng, findings, training=training)
    )
    count = len(drawn.calibration)
    if count < MIN_CALIBRATION:
        raise InputError(f"{data}: only {count} images to calibrate on; ranges need at least {MIN_CALIBRATION}.")
    if count < calibration and (calibration != DEFAULT_CALIBRATION or count < DEFAULT_CALIBRATION // 2):
        # The default is a wish, of which half does nearly as well; what was asked for is a promise.
        message = f"Calibrating on {count} images; {calibration} were asked for."
        findings.append(finding("images-fewer", message))
    return DataSplit(
        class_names=drawn.names,
        calibration=_labelled(drawn.calibration, drawn.names),
        selection=_labelled(drawn.selection, drawn.names),
        evaluation=drawn.evaluation,
        training=_labelled(drawn.training, drawn.names) if training else (),
        findings=tuple(findings),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """The sides of a split before their files are hashed."""

    names: tuple[str, ...] | None
    calibration: Sequence[_Listed]
    selection: Sequence[_Listed]
    training: Sequence[_Listed]
    evaluation: tuple[ImageRecord, ...]


def _from_halves(
    data: Path,
    calibration: int,
    selection: int,
    class_names: tuple[str, ...] | None,
    num_classes: int | None,
    rng: random.Random,
    findings: list[Finding],
) -> _Drawn:
    """Calibrate on images of `train/`, judge on all of `val/`."""
    train, val = data / "train", data / "val"
    if not (train.is_dir() and val.is_dir()):
        missing = "val" if train.is_dir() else "train"
        raise InputError(f"{data}: has no {missing}/ beside its other half; add it, or pass class folders alone.")
    pool, judged = list_images(train, data), _without_copies(list_images(val, data), findings)
    names = _match_classes(val, judged, class_names, num_classes)
    if names is not None and num_classes != ANY and any(p.class_name is not None for p in pool):
        _match_classes(train, pool, names, num_classes)
    chosen = _draw(pool, calibration, rng)
    selected = _enough(_draw(_others(pool, chosen), selection, rng))
    evaluation = _labelled(judged, names)
    _refuse_shared(pool, evaluation)
    return _Drawn(
        names=names, calibration=chosen, selection=selected, training=_others(pool, selected), evaluation=evaluation
    )


def _from_one(
    data: Path,
    calibration: int,
    selection: int,
    class_names: tuple[str, ...] | None,
    num_classes: int | None,
    rng: random.Random,
    findings: list[Finding],
    *,
    training: bool,
) -> _Drawn:
    """Split class folders alone, or images alone, by chance."""
    listed = _without_copies(list_images(data, data), findings)
    names = _match_classes(data, listed, class_names, num_classes)
    half = len(listed) // 2
    trained = _draw(listed, half if training else min(calibration, half), rng, per_class_share=0.5)
    selected = _enough(_draw(_others(listed, trained), selection, rng, per_class_share=1 / 3))
    evaluation = _labelled(_others(listed, [*trained, *selected]), names)
    return _Drawn(
        names=names,
        calibration=trained[:calibration],
        selection=selected,
        training=trained,
        evaluation=evaluation,
    )


def evaluation_images(
    data: Path, *, class_names: tuple[str, ...] | None, num_classes: int | None, calibrated_on: frozenset[str]
) -> DataSplit:
    """Images to check an existing program on: all of `val/`, or a folder without those it was fitted on.

    Args:
        data: as for `split_images`.
        class_names: the program's.
        num_classes: outputs of the program; None as there.
        calibrated_on: SHA-256 of the images that the program was fitted on.

    Raises:
        InputError: as `split_images`; and for a `val/` that holds an image the program was fitted on.
    """
    _require_folder(data)
    findings: list[Finding] = []
    root = data / "val" if _is_split(data, class_names) else data
    if not root.is_dir():
        raise InputError(f"{data}: has train/ but no val/; add it, or pass the folder to evaluate on.")
    listed = _without_copies(list_images(root, data), findings)
    names = _match_classes(root, listed, class_names, num_classes)
    images = _labelled(listed, names)
    fitted = [p for p in images if p.sha256 in calibrated_on]
    if fitted and root is not data:
        raise InputError(
            f"{fitted[0].path}: the program was calibrated on this image (and {len(fitted) - 1} more of "
            "val/); evaluate on images it has not seen."
        )
    kept = tuple(p for p in images if p.sha256 not in calibrated_on)
    if fitted:
        message = f"Left out {len(fitted)} images that the program was calibrated on."
        findings.append(finding("images-left-out", message))
    if not kept:
        raise InputError(f"{data}: the program was calibrated on all of these images; give it others.")
    return DataSplit(class_names=names, calibration=(), selection=(), evaluation=kept, findings=tuple(findings))


def list_images(root: Path, data: Path) -> list[_Listed]:
    """List the images below a folder: in its class folders, or, if it has none, in itself.

    Raises:
        InputError: no images, or images beside class folders.
    """
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    loose = images_in(root, recurse=False)
    if loose and folders:
        raise InputError(
            f"{root}: images lie beside class folders ({loose[0].name}); put each into its class's folder."
        )
    listed = [_Listed(p, p.relative_to(data).as_posix(), None) for p in loose]
    for folder in folders:
        images = images_in(folder, recurse=True)
        if not images:
            raise InputError(f"{folder}: the class has no images ({image_suffixes()}); add some or remove it.")
        listed += [_Listed(p, p.relative_to(data).as_posix(), folder.name) for p in images]
    if not listed:
        raise InputError(f"{root}: no images ({image_suffixes()}) here or in class folders.")
    return listed


def sha256_of_image(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        InputError: unreadable, no regular file, or one of more than `MAX_FILE_BYTES`.
    """
    with open_given(path, limit=MAX_FILE_BYTES) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); replace or remove it.") from error


def _size_of(path: Path) -> int:
    with open_given(path, limit=MAX_FILE_BYTES) as file:
        return os.fstat(file.fileno()).st_size


def _require_folder(data: Path) -> None:
    if not data.is_dir():
        what = "is a file" if data.exists() else "does not exist"
        raise InputError(f"{data}: {what}; --data takes a folder of images (train/ and val/, or class folders).")


def _is_split(data: Path, class_names: tuple[str, ...] | None) -> bool:
    """Whether the folder has `train/` or `val/`, and these are halves rather than classes (a "train" has wheels)."""
    halves = {half for half in ("train", "val") if (data / half).is_dir()}
    return bool(halves) and not halves <= set(class_names or ())


def images_in(folder: Path, *, recurse: bool) -> list[Path]:
    """Image and array files of a folder, hidden ones left out, in the order of their paths."""
    paths: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if recurse and not f.startswith("."))
        paths += [Path(parent, f) for f in files if Path(f).suffix.lower() in _LISTED and not f.startswith(".")]
    return sorted(paths)


def image_suffixes() -> str:
    """What `images_in` takes, for messages."""
    return ", ".join(sorted(_LISTED))


def _match_classes(
    root: Path, images: Sequence[_Listed], class_names: tuple[str, ...] | None, num_classes: int | None
) -> tuple[str, ...] | None:
    """Class names in the network's order, or None where the images have no labels."""
    found = sorted({p.class_name for p in images if p.class_name is not None})
    if not found or num_classes is None:
        return None
    if odd := [name for name in found if not is_line_of_text(name)]:
        raise InputError(f"{root}: class folders whose names are not one line of text: {_some(odd)}; rename them.")
    if class_names is None:
        if num_classes not in (ANY, len(found)):
            raise InputError(
                f"{root}: has {len(found)} class folders, the network tells {num_classes} classes apart; "
                "their sorted names have to be its classes, one by one."
            )
        return tuple(found)
    if twins := sorted({name for name in class_names if class_names.count(name) > 1}):
        raise InputError(
            f"{root}: the network has several classes of one name ({_some(twins)}), which folders cannot tell apart; "
            "rename them in the weights, or pass images without class folders."
        )
    missing, unknown = sorted(set(class_names) - set(found)), sorted(set(found) - set(class_names))
    if missing or unknown:
        parts = [f"no folder for {_some(missing)}"] if missing else []
        parts += [f"unknown class {_some(unknown)}"] if unknown else []
        raise InputError(
            f"{root}: its {len(found)} class folders are not the network's {len(class_names)} classes "
            f"({'; '.join(parts)}); rename, add or remove folders."
        )
    return class_names


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n) for n in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _enough(selected: list[_Listed]) -> list[_Listed]:
    """Leave too few images to choose on where they are more use."""
    return selected if len(selected) >= MIN_SELECTION else []


def _others(images: Sequence[_Listed], taken: Sequence[_Listed]) -> list[_Listed]:
    paths = {p.path for p in taken}
    return [p for p in images if p.path not in paths]


def _draw(images: Sequence[_Listed], count: int, rng: random.Random, per_class_share: float = 1.0) -> list[_Listed]:
    """Draw evenly from the classes: one of each in turn, in an order drawn too, until `count` are drawn."""
    by_class: dict[str | None, list[_Listed]] = defaultdict(list)
    for image in images:
        by_class[image.class_name].append(image)
    queues = []
    for name in sorted(by_class, key=str):
        shuffled = rng.sample(by_class[name], len(by_class[name]))
        queues.append(shuffled[: int(len(shuffled) * per_class_share)])
    # Fewer images than classes must not mean the alphabet's first classes.
    rng.shuffle(queues)
    chosen: list[_Listed] = []
    for turn in range(max((len(q) for q in queues), default=0)):
        for queue in queues:
            if turn < len(queue) and len(chosen) < count:
                chosen.append(queue[turn])
    return chosen


def _labelled(images: Iterable[_Listed], names: tuple[str, ...] | None) -> tuple[ImageRecord, ...]:
    index = {name: i for i, name in enumerate(names or ())}
    return tuple(
        ImageRecord(
            path=p.path,
            name=p.name,
            label=index.get(p.class_name) if p.class_name is not None else None,
            sha256=sha256_of_image(p.path),
        )
        for p in images
    )


def _refuse_shared(pool: Sequence[_Listed], evaluation: Sequence[ImageRecord]) -> None:
    """Refuse a train/ that holds an image of val/, whether this run would have drawn it or not."""
    sizes = {_size_of(p.path) for p in evaluation}
    by_hash = {p.sha256: p for p in evaluation}
    for image in pool:
        # Hashing is what costs: a file of another size cannot have the same content.
        if _size_of(image.path) in sizes and (twin := by_hash.get(sha256_of_image(image.path))):
            raise InputError(
                f"{image.path} and {twin.path} are the same image; calibration and evaluation must not share "
                "any, or the verdict flatters. Remove one of them."
            )


def _without_copies(images: Sequence[_Listed], findings: list[Finding]) -> list[_Listed]:
    """Keep one of images with the same content: copies could end up on both sides of the split."""
    kept: dict[tuple[int, str], _Listed] = {}
    by_size: dict[int, list[_Listed]] = defaultdict(list)
    for image in images:
        by_size[_size_of(image.path)].append(image)
    for size, group in by_size.items():
        for image in group:
            key = sha256_of_image(image.path) if len(group) > 1 else str(image.path)
            twin = kept.setdefault((size, key), image)
            if twin.class_name != image.class_name:
                raise InputError(f"{image.path} and {twin.path} are one image in two classes; remove one.")
    if len(kept) < len(images):
        message = f"Left out {len(images) - len(kept)} copies of other images."
        findings.append(finding("images-left-out", message))
    chosen = {p.path for p in kept.values()}
    return [p for p in images if p.path in chosen]
