"""Figures of an earlier program, in a file that a later one is held against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_effnet.errors import InputError
from quant.common.atomic_io import require_writable
from quant.common.findings import Finding, finding
from quant.common.json_io import read_json
from quant.data.split import ImageRecord
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.metrics.metrics import decimals
from quant.thresholds import REPEAT_IMAGES, REPEAT_SQNR_DB, ROUNDING_SQNR_DB, SHARE_ROUNDING

_SCHEMA = 2
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Figures of an earlier program that a new one must not fall behind."""

    digest: str
    """Digest of the evaluation images' contents: figures on others do not compare."""
    images: int
    top1: float | None
    """None without labels, and of a task without classes: agreement counts then."""
    agreement: float
    sqnr_db: float
    program: str
    """SHA-256 of the program."""


def digest_of(images: Sequence[ImageRecord]) -> str:
    """Digest of a set of images: their contents and labels, whatever their names and order."""
    rows = sorted(f"{image.sha256} {image.label if image.targets is None else image.targets}" for image in images)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def make_baseline(images: Sequence[ImageRecord], accuracy: Accuracy, pte: Fidelity, program: str) -> Baseline:
    """Figures of a program with a SHA-256, as a baseline for the next."""
    return Baseline(
        digest=digest_of(images),
        images=len(images),
        top1=accuracy.top1,
        agreement=pte.agreement,
        sqnr_db=pte.sqnr_db,
        program=program,
    )


def read_baseline(path: Path, images: Sequence[ImageRecord], *, classes: bool = True) -> Baseline:
    """Read a baseline that was made on the same images; with `classes`, labelled ones have a top-1.

    Raises:
        InputError: no such file, not a baseline, or one of other images.
    """
    remedy = "write one with --update-baseline."
    baseline = _parse_baseline(path, remedy)
    if baseline.digest != digest_of(images):
        raise InputError(
            f"{path}: the baseline is of {baseline.images} other images or labels than these {len(images)}; "
            "check on the same ones, or " + remedy
        )
    if baseline.images != len(images) or (baseline.top1 is not None) != (classes and images[0].label is not None):
        raise InputError(f"{path}: its figures do not fit its images: it was edited; {remedy}")
    return baseline


def require_baseline_file(path: Path) -> None:
    """Refuse to overwrite anything but a baseline, and places that cannot be written.

    Raises:
        InputError: something else stands at `path`.
        MachineError: no permission to write there, or a name that is too long.
    """
    require_writable(path)
    if path.exists() or path.is_symlink():
        _parse_baseline(path, "choose another name for the baseline.")


def check_baseline(baseline: Baseline, program: str, accuracy: Accuracy, pte: Fidelity) -> Finding | None:
    """Say where a baseline of these images contradicts the very program, by SHA-256, that it is of.

    None for another program, or where its figures are those that it has now.
    """
    if baseline.program != program:
        return None
    allowed = max(REPEAT_IMAGES / baseline.images, 0.01) + SHARE_ROUNDING
    shares = [("agreement", baseline.agreement, pte.agreement), ("top-1", baseline.top1, accuracy.top1)]
    digits = decimals(baseline.images)
    faults = [
        (f"{figure} {100 * then:.{digits}f} %", f"is {100 * now:.{digits}f} %")
        for figure, then, now in shares
        if then is not None and now is not None and abs(then - now) > allowed
    ]
    then, now = (min(figure, ROUNDING_SQNR_DB) for figure in (baseline.sqnr_db, pte.sqnr_db))
    if abs(then - now) > REPEAT_SQNR_DB:
        faults.append((f"{then:.1f} dB", f"has {now:.1f} dB"))
    if not faults:
        return None
    given, found = faults[0]
    return finding(
        "baseline-edited",
        f"baseline: it gives {given} for this very program on these images, it {found}: the file was edited, write "
        "it again with --update-baseline",
    )


def baseline_json(baseline: Baseline) -> str:
    """Text of a baseline file."""
    figures = asdict(baseline)
    values = {"schema": _SCHEMA, "photographs": figures.pop("digest"), **figures}
    return json.dumps({**values, "seal": _seal(values)}, indent=2) + "\n"


def _parse_baseline(path: Path, remedy: str) -> Baseline:
    try:
        values = read_json(path, limit=_MAX_BYTES)
        if values["schema"] != _SCHEMA:
            raise ValueError(f"schema {values['schema']!r}, this version reads {_SCHEMA}")
        if values.pop("seal") != _seal(values):
            raise ValueError("it was edited: its seal does not fit its figures")
        values.pop("schema")
        return Baseline(digest=values.pop("photographs"), **values)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such baseline; {remedy}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not a baseline file ({type(error).__name__}: {error}); {remedy}") from error


def _seal(values: Mapping[str, Any]) -> str:
    """Tell a slip of the hand from a figure: no secret is in it, and who wants to can compute it again."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
