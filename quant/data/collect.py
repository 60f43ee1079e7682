"""What a source of images holds: both sides, their classes, and what has to be left out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_effnet.errors import InputError
from quant.common.findings import Finding, finding
from quant.data.classes import ANY, Classes, match_classes, match_numbers
from quant.data.cleaning import Verify, leave_out_unusable, sizes_of, without_copies, without_shared
from quant.data.halves import Halves, named_halves
from quant.data.labels import Labels, is_index, label_images, targets_of, unlisted_finding
from quant.data.listing import Listed, images_in, list_images, name_below, strangers_finding, suffix_of
from quant.data.readers.label_file import LabelFile
from quant.thresholds import UNUSABLE_SHARE


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where images and labels come from."""

    data: Path
    """The folder."""
    calibration_data: Path | None = None
    """The folder to calibrate on, instead of `train/`."""
    evaluation_data: Path | None = None
    """The folder to judge on, instead of `val/`."""
    labels: LabelFile | None = None
    """Labels, instead of class folders."""
    class_names: tuple[str, ...] | None = None
    """As the weights have them; None takes the folder names in sorted order."""
    num_classes: int | None
    """Classes that the network tells apart, or `ANY` number; None for one that makes nothing of class folders."""
    output_names: tuple[str, ...] | None = None
    """Of the outputs, where labels of several kinds are to be told apart."""
    outputs: int | None = None
    """Numbers that the network puts out, for labels of several kinds and numbers."""
    verify: Verify | None = None
    """Tells which images cannot be read; None leaves that to whoever decodes them."""
    max_unusable: float = UNUSABLE_SHARE
    """Share of the images that may be empty or unreadable and are left out, 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What a source holds, before anything is drawn or decoded."""

    shared: bool
    """Whether `judged` are all images, of which some may calibrate."""
    pool: Sequence[Listed]
    """What else calibration may be drawn from."""
    judged: Sequence[Listed]
    classes: Classes | None
    """None without labels."""
    faults: Mapping[Path, str]
    """Of files that cannot be opened, or are empty."""
    out: tuple[Finding, ...]
    findings: tuple[Finding, ...]


def collect(source: Source, *, judged_only: bool = False) -> Collected:
    """List the images of a source, or those that judge only, match their classes, and leave out copies.

    Raises:
        InputError: a half is missing, no images, classes that are not the network's, or too many copies.
    """
    halves = named_halves(source.data, source.class_names, source.calibration_data, source.evaluation_data)
    halves = halves or Halves(train=None, val=source.data, shared=True)
    labels = None if source.labels is None else _read_labels(source, source.labels, halves)
    halves = halves if labels is None else _those_listed(source, labels, halves)
    _require_both(source, halves, judged_only=judged_only)
    listing = _Listing(source=source, labels=labels, strangers=Counter(), unlisted=[])
    assert halves.val is not None
    judged = listing.images_of(halves.val)
    if not judged:
        assert source.labels is not None
        raise InputError(
            f"{halves.val}: {source.labels.path} lists no image of it; pass the folder with images that have labels."
        )
    pool = [] if halves.train is None or judged_only else listing.images_of(halves.train, calibrates=True)
    pool, judged, names = _with_targets(source, pool, judged, labels)
    classes = _classes(source, halves, pool, judged, names)
    sizes, faults = sizes_of([*pool, *judged])
    pool, judged = ([image for image in side if image.path not in faults] for side in (pool, judged))
    judged, out = without_copies(judged, sizes, classes.index if classes else {})
    pool, more = without_shared(pool, judged, sizes)
    return Collected(
        shared=halves.shared,
        pool=pool,
        judged=judged,
        classes=classes,
        faults=faults,
        out=(*out, *more),
        findings=(
            *halves.findings,
            *listing.findings,
            *(_subset(classes, judged) if classes and source.num_classes != ANY else ()),
        ),
    )


def unusable(source: Source, found: Collected, used: Sequence[Listed]) -> tuple[set[Path], tuple[Finding, ...]]:
    """Images that cannot be read, of those that are used, and empty files of all.

    Raises:
        InputError: too many of either.
    """
    paths = list(dict.fromkeys(image.path for image in used))
    decoded = {} if source.verify is None else dict(source.verify(paths))
    listed = len(found.pool) + len(found.judged) + len(found.faults)
    share = max(len(found.faults) / max(1, listed), len(decoded) / max(1, len(paths)))
    out = leave_out_unusable(source.data, {**found.faults, **decoded}, share, source.max_unusable)
    return set(decoded), out


def _require_both(source: Source, halves: Halves, *, judged_only: bool) -> None:
    if judged_only and halves.val is None:
        raise InputError(f"{source.data}: has train/ but no val/; add it, or pass the folder to evaluate on.")
    if not judged_only and not halves.shared and None in (halves.train, halves.val):
        missing = "val" if halves.val is None else "train"
        raise InputError(
            f"{source.data}: has no {missing}/ beside its other half; add it, or pass class folders alone."
        )


def _read_labels(source: Source, file: LabelFile, halves: Halves) -> Labels:
    roots = [source.data, *(half for half in (halves.train, halves.val) if half is not None)]
    below = [root for root in roots if root == source.data or not root.is_relative_to(source.data)]
    return label_images(file, sorted({path for root in below for path in images_in(root, recurse=True)}))


def _those_listed(source: Source, labels: Labels, halves: Halves) -> Halves:
    """The halves; one that the file lists alone is both sides, such as Kaggle's train/ beside a test/ to predict."""
    train, val = halves.train, halves.val
    if train is None or source.evaluation_data is not None or (val is not None and labels.list_any_in(val)):
        return halves
    return Halves(train=None, val=train, shared=True) if labels.list_any_in(train) else halves


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listing:
    """Lists the images of folders, and remembers what it passes by."""

    source: Source
    labels: Labels | None
    strangers: Counter[str]
    unlisted: list[Path]

    def images_of(self, root: Path, *, calibrates: bool = False) -> list[Listed]:
        """Images of a side with the names of their classes, from the label file; those that calibrate need none."""
        data, names = self.source.data, self.source.class_names
        if self.labels is None or (calibrates and not self.labels.list_any_in(root)):
            return list_images(root, data, class_names=names, strangers=self.strangers)
        paths = images_in(root, recurse=True, strangers=self.strangers)
        if self.labels.file.path.resolve().is_relative_to(root.resolve()):
            self.strangers.subtract([suffix_of(self.labels.file.path)])
        by_image, single = self.labels.by_image, self.labels.file.kind == "class"
        self.unlisted.extend(path for path in paths if path not in by_image)
        return [
            Listed(path, name_below(path, root, data), by_image[path][0] if single else None)
            for path in paths
            if path in by_image
        ]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """About files that are no images, and what is only in the file or only in the folder."""
        said = (*unlisted_finding(self.labels.file, self.unlisted), *self.labels.findings) if self.labels else ()
        return (*strangers_finding(+self.strangers), *said)


def _with_targets(
    source: Source, pool: list[Listed], judged: list[Listed], labels: Labels | None
) -> tuple[list[Listed], list[Listed], tuple[str, ...] | None]:
    """The images with one number for each output, and the outputs' names, where the label file is of that kind."""
    if labels is None or labels.file.kind == "class":
        return pool, judged, None
    assert source.outputs is not None
    targets, names = targets_of(labels.file, labels.by_image, source.output_names, source.outputs)
    # Of those to calibrate on the file may list none.
    pool, judged = ([replace(image, targets=targets.get(image.path)) for image in side] for side in (pool, judged))
    return pool, judged, names


def _classes(
    source: Source, halves: Halves, pool: Sequence[Listed], judged: Sequence[Listed], outputs: tuple[str, ...] | None
) -> Classes | None:
    """What the names of the classes mean; of both sides together, since one may lack a class."""
    if outputs is not None:
        return Classes(names=outputs, index={})
    known, count = source.class_names, source.num_classes
    trained, found = ({i.class_name for i in side if i.class_name is not None} for side in (pool, judged))
    assert halves.val is not None
    if not (found or trained) or count is None:
        return None
    if count == ANY:
        names = tuple(sorted(trained | found))
        return Classes(names=names, index={name: i for i, name in enumerate(names)})
    if source.labels is not None and found:
        numbers = all(map(is_index, found)) and not set(known or ()) & found
        match = match_numbers if numbers else match_classes
        # What the file does not list of the other side keeps its folders' names, and has no label if they differ.
        return match(source.labels.path, found, known, count)
    if known is None and len(found) != count == len(trained | found):
        known = tuple(sorted(trained | found))
    classes = match_classes(halves.val, found, known, count) if found else None
    if halves.train is None or not trained:
        return classes
    more = match_classes(halves.train, trained, known if classes is None else classes.names, count)
    return more if classes is None else Classes(names=classes.names, index={**more.index, **classes.index})


def _subset(classes: Classes, judged: Sequence[Listed]) -> tuple[Finding, ...]:
    """Say where images show fewer classes than the network tells apart."""
    shown, known = {classes.index.get(i.class_name) for i in judged if i.class_name is not None}, len(classes.names)
    if not shown or len(shown) >= known:
        return ()
    message = (
        f"Images of {len(shown)} of the network's {known} classes: figures are over these, and answers elsewhere "
        "count as wrong."
    )
    return (finding("classes-subset", message),)
