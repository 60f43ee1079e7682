"""What a source of images holds: both sides, their classes, and what has to be left out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_effnet.errors import InputError
from quant.common.findings import Finding
from quant.data.classes import ANY, Classes, match_classes, subset_finding
from quant.data.cleaning import LeftOut, Verify, leave_out_unusable, sizes_of, without_copies, without_shared
from quant.data.halves import Halves
from quant.data.listing import Listed, list_images, strangers_finding
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
    class_names: tuple[str, ...] | None = None
    """As the weights have them; None takes the folder names in sorted order."""
    num_classes: int | None
    """Classes that the network tells apart, or `ANY` number; None for one that makes nothing of labels."""
    verify: Verify | None = None
    """Tells which images cannot be read; None leaves that to whoever decodes them."""
    max_unusable: float = UNUSABLE_SHARE
    """Share of the images that may be empty or unreadable and are left out, 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What a source holds, before anything is drawn or decoded."""

    pool: Sequence[Listed]
    """What calibration may be drawn from, where there are halves."""
    judged: Sequence[Listed]
    """What may judge; all images where there are no halves."""
    classes: Classes | None
    """None without labels."""
    faults: Mapping[Path, str]
    """Of files that cannot be opened, or are empty."""
    out: tuple[LeftOut, ...]
    findings: tuple[Finding, ...]


def collect(source: Source, halves: Halves | None, *, judged_only: bool = False) -> Collected:
    """List the images of a source, match their classes, and leave out copies.

    Args:
        source: of the images.
        halves: the folders of both sides; None where there is one for all.
        judged_only: whether to look at those that judge alone.

    Raises:
        InputError: a half is missing, no images, classes that are not the network's, or too many copies.
    """
    train, val = (None, source.data) if halves is None else (halves.train, halves.val)
    if halves is not None and (val is None or (train is None and not judged_only)):
        missing = "val" if val is None else "train"
        raise InputError(
            f"{source.data}: has no {missing}/ beside its other half; add it, or pass class folders alone."
        )
    assert val is not None
    strangers: Counter[str] = Counter()
    judged = list_images(val, source.data, class_names=source.class_names, strangers=strangers)
    pool: list[Listed] = []
    if train is not None and not judged_only:
        pool = list_images(train, source.data, class_names=source.class_names, strangers=strangers)
    classes = _classes(source, train, pool, val, judged)
    sizes, faults = sizes_of([*pool, *judged])
    pool, judged = ([image for image in side if image.path not in faults] for side in (pool, judged))
    judged, out = without_copies(judged, sizes)
    pool, more = without_shared(pool, judged, sizes)
    return Collected(
        pool=pool,
        judged=judged,
        classes=classes,
        faults=faults,
        out=(*out, *more),
        findings=(
            *(halves.findings if halves else ()),
            *strangers_finding(strangers),
            *(_subset(classes, judged) if source.num_classes != ANY else ()),
        ),
    )


def _classes(
    source: Source, train: Path | None, pool: Sequence[Listed], val: Path, judged: Sequence[Listed]
) -> Classes | None:
    """What the names of the classes mean; of both sides together, since one may lack a class."""
    known, count = source.class_names, source.num_classes
    trained, found = ({i.class_name for i in side if i.class_name is not None} for side in (pool, judged))
    if not (found or trained) or count is None:
        return None
    if count == ANY:
        names = tuple(sorted(trained | found))
        return Classes(names=names, index={name: i for i, name in enumerate(names)})
    if known is None and len(found) != count == len(trained | found):
        known = tuple(sorted(trained | found))
    classes = match_classes(val, found, known, count) if found else None
    if train is None or not trained:
        return classes
    more = match_classes(train, trained, known if classes is None else classes.names, count)
    return more if classes is None else Classes(names=classes.names, index={**more.index, **classes.index})


def _subset(classes: Classes | None, judged: Sequence[Listed]) -> tuple[Finding, ...]:
    if classes is None:
        return ()
    shown = {classes.index[i.class_name] for i in judged if i.class_name is not None}
    return subset_finding(len(shown), len(classes.names))


def unusable(source: Source, found: Collected, used: Sequence[Listed]) -> tuple[set[Path], tuple[LeftOut, ...]]:
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
