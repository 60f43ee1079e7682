"""A folder of images -> calibration and evaluation sets, proved disjoint."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import NamedTuple

from edge_effnet.errors import InputError
from quant.common.findings import Finding, finding
from quant.data.classes import Classes
from quant.data.cleaning import left_out, left_out_finding, sha256_of_image
from quant.data.collect import Source, collect, unusable
from quant.data.halves import require_folder
from quant.data.listing import Listed
from quant.thresholds import DEFAULT_CALIBRATION, MIN_CALIBRATION, MIN_SELECTION


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


def split_images(
    source: Source, *, calibration: int, seed: int, selection: int = 0, training: bool = False
) -> DataSplit:
    """Find images and split them.

    With `train/` and `val/` (or `find_halves`' other names for them), calibration comes from the first and evaluation
    is all of the second. Class folders alone, or images alone (no labels), are split by `seed`: at most half of each
    class calibrates.

    Args:
        source: of the images.
        calibration: images to calibrate on, spread evenly over the classes.
        seed: of the draw.
        selection: images to choose settings on, from where those to calibrate on come from; fewer are given
            where fewer are left, of class folders alone at most a third of the others, and none below
            `MIN_SELECTION`.
        training: whether to give images to train on too: all of `train/`, or half of each class of class
            folders alone, without those of `selection`.

    Raises:
        InputError: no such folder, no images, classes that do not match the network's, a class without
            images, too few to calibrate on, or too many images that cannot be read, lie on both sides (byte for
            byte) or in two classes.
    """
    require_folder(source.data, "--data")
    if calibration < MIN_CALIBRATION:
        raise InputError(f"--calibration {calibration}: ranges need at least {MIN_CALIBRATION} images.")
    found = collect(source)
    rng = random.Random(seed)
    if found.shared:
        drawn = draw_from_one(found.judged, calibration, selection, rng, training=training)
    else:
        drawn = draw_from_halves(found.pool, found.judged, calibration, selection, rng)
    sides = drawn if training else drawn._replace(training=())
    bad, out = unusable(source, found, [image for side in sides for image in side])
    chosen, selected, judged, trained = (_records(images, found.classes, bad) for images in sides)
    fewer = _fewer(source.data, len(chosen), calibration)
    return DataSplit(
        class_names=None if found.classes is None else found.classes.names,
        calibration=chosen,
        selection=selected,
        evaluation=judged,
        training=trained,
        findings=(*found.findings, *left_out_finding((*out, *found.out)), *fewer),
    )


def _fewer(data: Path, count: int, asked: int) -> tuple[Finding, ...]:
    """Say where fewer images calibrate than were asked for.

    Raises:
        InputError: too few.
    """
    if count < MIN_CALIBRATION:
        raise InputError(
            f"{data}: only {count} images to calibrate on; ranges need at least {MIN_CALIBRATION}, and without a "
            "train/ half of the images are for evaluation: add some."
        )
    # The default is a wish, of which half does nearly as well; what was asked for is a promise.
    if count >= asked or (asked == DEFAULT_CALIBRATION and count >= DEFAULT_CALIBRATION // 2):
        return ()
    return (finding("images-fewer", f"Calibrating on {count} images; {asked} were asked for."),)


def evaluation_images(source: Source, *, calibrated_on: frozenset[str]) -> DataSplit:
    """Images to check an existing program on: all of `val/`, or a folder without those it was fitted on, by SHA-256.

    Raises:
        InputError: as `split_images`; and for a `val/` that holds an image the program was fitted on.
    """
    require_folder(source.data, "--data")
    found = collect(source, judged_only=True)
    bad, out = unusable(source, found, found.judged)
    images = _records(found.judged, found.classes, bad)
    fitted = [p for p in images if p.sha256 in calibrated_on]
    if fitted and not found.shared:
        raise InputError(
            f"{fitted[0].path}: the program was calibrated on this image (and {len(fitted) - 1} more of "
            f"{fitted[0].name.split('/')[0]}/); evaluate on images it has not seen."
        )
    kept = tuple(p for p in images if p.sha256 not in calibrated_on)
    if not kept:
        raise InputError(f"{source.data}: the program was calibrated on all of these images; give it others.")
    if fitted:
        sentence = f"Left out {len(fitted)} images that the program was calibrated on."
        out = (*out, left_out(sentence, [p.name for p in fitted]))
    return DataSplit(
        class_names=None if found.classes is None else found.classes.names,
        calibration=(),
        selection=(),
        evaluation=kept,
        findings=(*found.findings, *left_out_finding((*found.out, *out))),
    )


def _records(images: Iterable[Listed], classes: Classes | None, bad: Collection[Path]) -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(
            path=p.path,
            name=p.name,
            label=classes.index.get(p.class_name) if classes is not None and p.class_name is not None else None,
            sha256=sha256_of_image(p.path),
            targets=p.targets,
        )
        for p in images
        if p.path not in bad
    )


class Drawn(NamedTuple):
    """The sides of a split."""

    calibration: Sequence[Listed]
    selection: Sequence[Listed]
    evaluation: Sequence[Listed]
    training: Sequence[Listed]


def draw_from_halves(
    pool: Sequence[Listed], judged: Sequence[Listed], calibration: int, selection: int, rng: random.Random
) -> Drawn:
    """Calibrate on images of the training half, judge on all of the other."""
    chosen = _draw(pool, calibration, rng)
    selected = _enough(_draw(_others(pool, chosen), selection, rng))
    return Drawn(calibration=chosen, selection=selected, evaluation=judged, training=_others(pool, selected))


def draw_from_one(
    listed: Sequence[Listed], calibration: int, selection: int, rng: random.Random, *, training: bool
) -> Drawn:
    """Split class folders alone, or images alone: at most half of each class calibrates or trains."""
    half = len(listed) // 2
    wanted = half if training else min(calibration, half)
    trained = _draw(listed, wanted, rng, per_class_share=0.5)
    if len(trained) < min(wanted, MIN_CALIBRATION):
        # Classes of one image each have no half.
        trained = _draw(listed, wanted, rng)
    selected = _enough(_draw(_others(listed, trained), selection, rng, per_class_share=1 / 3))
    return Drawn(
        calibration=trained[:calibration],
        selection=selected,
        evaluation=_others(listed, [*trained, *selected]),
        training=trained,
    )


def _enough(selected: list[Listed]) -> list[Listed]:
    """Leave too few images to choose on where they are more use."""
    return selected if len(selected) >= MIN_SELECTION else []


def _others(images: Sequence[Listed], taken: Sequence[Listed]) -> list[Listed]:
    paths = {p.path for p in taken}
    return [p for p in images if p.path not in paths]


def _draw(images: Sequence[Listed], count: int, rng: random.Random, per_class_share: float = 1.0) -> list[Listed]:
    """Draw evenly from the classes: one of each in turn, in an order drawn too, until `count` are drawn."""
    by_class: dict[str | None, list[Listed]] = defaultdict(list)
    for image in images:
        by_class[image.class_name].append(image)
    queues = []
    for _, own in sorted(by_class.items(), key=lambda item: str(item[0])):
        queues.append(rng.sample(own, len(own))[: int(len(own) * per_class_share)])
    # Fewer images than classes must not mean the alphabet's first classes.
    rng.shuffle(queues)
    turns = (image for turn in zip_longest(*queues) for image in turn if image is not None)
    return list(islice(turns, count))
