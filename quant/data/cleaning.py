"""What of a folder cannot be used or must not count twice: all of it found in one pass, left out, and listed."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge_effnet.arrays import ARRAY_SUFFIXES, read_array
from edge_effnet.errors import InputError
from edge_effnet.images import MAX_FILE_BYTES, quiet_pillow, require_readable
from edge_effnet.io.files import open_given
from quant.common.findings import Finding, finding
from quant.common.progress import Progress
from quant.data.listing import Listed
from quant.thresholds import DUPLICATE_SHARE

Verify = Callable[[Sequence[Path]], Mapping[Path, str]]
"""Images -> what is wrong with those that cannot be read."""

_SHOWN = 5


def verifier(channels: int, progress: Progress) -> Verify:
    """Return a function that decodes images, or arrays of so many channels, as far as it takes to know they can."""

    def fault(path: Path) -> str:
        try:
            if path.suffix.lower() in ARRAY_SUFFIXES:
                read_array(path, channels)
            else:
                require_readable(path)
        except InputError as error:
            return str(error)
        return ""

    def verify(paths: Sequence[Path]) -> dict[Path, str]:
        found = []
        workers = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        with progress.stage("Checking images", len(paths)) as advance, quiet_pillow(), workers as pool:
            for said in pool.map(fault, paths):
                found.append(said)
                advance(1)
        return {path: said for path, said in zip(paths, found, strict=True) if said}

    return verify


def sizes_of(images: Iterable[Listed]) -> tuple[dict[Path, int], dict[Path, str]]:
    """Bytes of each file, and what is wrong with those that are empty, unreadable or no files."""
    sizes, faults = {}, {}
    for path in (image.path for image in images):
        try:
            with open_given(path, limit=MAX_FILE_BYTES) as file:
                size = os.fstat(file.fileno()).st_size
        except InputError as error:
            faults[path] = str(error)
            continue
        if size:
            sizes[path] = size
        else:
            faults[path] = f"{path}: is empty; replace or remove it."
    return sizes, faults


def leave_out_unusable(data: Path, faults: Mapping[Path, str], share: float, allowed: float) -> tuple[Finding, ...]:
    """Leave out the images with `faults`, which are a `share`, 0..1, of those looked at.

    Raises:
        InputError: it is more than the one allowed.
    """
    if not faults:
        return ()
    if share > allowed:
        shown = "; ".join(said.rstrip(".") for said in list(faults.values())[:_SHOWN])
        if len(faults) == 1:
            raise InputError(f"{shown}.")
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise InputError(
            f"{data}: {len(faults)} images cannot be used, more than the {100 * allowed:g} % that is left out "
            f"(--max-unusable): {shown}{more}."
        )
    # An artifact goes to others: whose folder it was is not theirs to know.
    names = tuple(said.removeprefix(f"{data}{os.sep}") for said in faults.values())
    return (left_out(f"Left out {len(faults)} images that cannot be read.", names),)


def without_copies(
    images: Sequence[Listed], sizes: Mapping[Path, int], outputs: Mapping[str, int]
) -> tuple[list[Listed], tuple[Finding, ...]]:
    """Keep one of images with the same content, and none of those whose copies lie in two classes.

    Args:
        images: of one side.
        sizes: of their files, bytes.
        outputs: by name of class: two spellings of one are no two classes.

    Raises:
        InputError: more than `DUPLICATE_SHARE` lie in two classes.
    """
    by_size: dict[int, list[Listed]] = defaultdict(list)
    for image in images:
        by_size[sizes[image.path]].append(image)
    groups: dict[tuple[int, str], list[Listed]] = defaultdict(list)
    for size, group in by_size.items():
        for image in group:
            # Hashing is what costs: a file of another size cannot have the same content.
            groups[size, sha256_of_image(image.path) if len(group) > 1 else ""].append(image)

    def answer(image: Listed) -> object:
        return outputs.get(image.class_name or "", image.class_name), image.targets

    torn = [image for group in groups.values() if len(set(map(answer, group))) > 1 for image in group]
    if len(torn) > DUPLICATE_SHARE * len(images):
        raise InputError(
            f"{torn[0].path} and {torn[1].path} are one image in two classes, as are {len(torn)} of {len(images)} "
            f"images, more than {DUPLICATE_SHARE:.0%}; remove one of each."
        )
    wrong = {image.path for image in torn}
    copies = [image for group in groups.values() for image in group[1:] if image.path not in wrong]
    dropped = wrong | {image.path for image in copies}
    said = {
        f"Left out {len(copies)} copies of other images.": copies,
        f"Left out {len(torn)} images that lie in two classes.": torn,
    }
    out = tuple(left_out(sentence, [image.name for image in some]) for sentence, some in said.items() if some)
    return [image for image in images if image.path not in dropped], out


def without_shared(
    pool: Sequence[Listed], judged: Sequence[Listed], sizes: Mapping[Path, int]
) -> tuple[list[Listed], tuple[Finding, ...]]:
    """Take images out of the pool to calibrate on that evaluation has too, whether a run would draw them or not.

    Raises:
        InputError: more than `DUPLICATE_SHARE` of the evaluation images are among them.
    """
    lengths = {sizes[image.path] for image in pool} & {sizes[image.path] for image in judged}
    known = {sha256_of_image(image.path): image for image in judged if sizes[image.path] in lengths}
    twins = {
        image.path: twin
        for image in pool
        if sizes[image.path] in lengths and (twin := known.get(sha256_of_image(image.path)))
    }
    if not twins:
        return list(pool), ()
    shared = len({twin.path for twin in twins.values()})
    if shared > DUPLICATE_SHARE * len(judged):
        image, other = next(iter(twins.items()))
        raise InputError(
            f"{image} and {other.path} are the same image; calibration and evaluation must not share any, or the "
            f"verdict flatters, and {shared} of {len(judged)} are shared, more than {DUPLICATE_SHARE:.0%}. Remove "
            "one of each."
        )
    removed = [image for image in pool if image.path in twins]
    sentence = f"Left out {len(removed)} calibration images that evaluation has too."
    kept = [image for image in pool if image.path not in twins]
    return kept, (left_out(sentence, [image.name for image in removed]),)


def left_out(sentence: str, names: Iterable[str]) -> Finding:
    """Say which images are left out for one reason."""
    return finding("images-left-out", sentence, items=names)


def left_out_finding(out: Sequence[Finding]) -> tuple[Finding, ...]:
    """One finding for all that is left out, with the list; none where nothing is."""
    if not out:
        return ()
    return (left_out(" ".join(part.message for part in out), [name for part in out for name in part.items]),)


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
