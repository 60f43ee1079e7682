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
from quant.common.json_io import read_json
from quant.data.split import Photo
from quant.metrics.evaluate import Accuracy, Fidelity
from quant.thresholds import REPEAT_PHOTOGRAPHS, REPEAT_SQNR_DB, ROUNDING_SQNR_DB, SHARE_ROUNDING

_SCHEMA = 2
_MAX_BYTES = 64 * 1024
_MAX_IMAGES = 10**9
_MAX_SQNR_DB = 200.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Figures of an earlier program that a new one must not fall behind."""

    photographs: str
    """Digest of the evaluation photographs' contents: figures on others do not compare."""
    images: int
    top1: float | None
    agreement: float
    sqnr_db: float
    program: str
    """SHA-256 of the program."""


def digest_of(photos: Sequence[Photo]) -> str:
    """Digest of a set of photographs: their contents and labels, whatever their names and order."""
    rows = sorted(f"{photo.sha256} {photo.label}" for photo in photos)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def make_baseline(photos: Sequence[Photo], accuracy: Accuracy, pte: Fidelity, program: str) -> Baseline:
    """Figures of a program with a SHA-256, as a baseline for the next."""
    return Baseline(
        photographs=digest_of(photos),
        images=len(photos),
        top1=accuracy.top1,
        agreement=pte.agreement,
        sqnr_db=pte.sqnr_db,
        program=program,
    )


def read_baseline(path: Path, photos: Sequence[Photo]) -> Baseline:
    """Read a baseline that was made on the same photographs.

    Raises:
        InputError: no such file, not a baseline, or one of other photographs.
    """
    remedy = "write one with --update-baseline."
    baseline = _parse_baseline(path, remedy)
    if baseline.photographs != digest_of(photos):
        raise InputError(
            f"{path}: the baseline is of {baseline.images} other photographs or labels than these {len(photos)}; "
            "check on the same ones, or " + remedy
        )
    if baseline.images != len(photos) or (baseline.top1 is None) != (photos[0].label is None):
        raise InputError(f"{path}: its figures do not fit its photographs: it was edited; {remedy}")
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


def baseline_doubt(baseline: Baseline, program: str, accuracy: Accuracy, pte: Fidelity) -> str | None:
    """Say where a baseline contradicts the very program that it is of; None for another one, or where it does not.

    Args:
        baseline: of the same photographs.
        program: SHA-256.
        accuracy: of the program, now.
        pte: likewise.
    """
    if baseline.program != program:
        return None
    allowed = max(REPEAT_PHOTOGRAPHS / baseline.images, 0.01) + SHARE_ROUNDING
    pairs = [("agreement", baseline.agreement, pte.agreement)]
    if baseline.top1 is not None and accuracy.top1 is not None:
        pairs.append(("top-1", baseline.top1, accuracy.top1))
    for figure, then, now in pairs:
        if abs(then - now) > allowed:
            return (
                f"baseline: it gives {figure} {100 * then:.2f} % for this very program on these photographs, it is "
                f"{100 * now:.2f} %: the file was edited, write it anew with --update-baseline"
            )
    then, now = (min(figure, ROUNDING_SQNR_DB) for figure in (baseline.sqnr_db, pte.sqnr_db))
    if abs(then - now) > REPEAT_SQNR_DB:
        return (
            f"baseline: it gives {then:.1f} dB for this very program on these photographs, it has {now:.1f} dB: the "
            "file was edited, write it anew with --update-baseline"
        )
    return None


def baseline_json(baseline: Baseline) -> str:
    """Text of a baseline file."""
    values = {"schema": _SCHEMA, **asdict(baseline)}
    return json.dumps({**values, "seal": _seal(values)}, indent=2) + "\n"


def _parse_baseline(path: Path, remedy: str) -> Baseline:
    try:
        values = read_json(path, limit=_MAX_BYTES)
        if values["schema"] != _SCHEMA:
            raise ValueError(f"schema {values['schema']!r}, this version reads {_SCHEMA}")
        if values.pop("seal") != _seal(values):
            raise ValueError("it was edited: its seal does not fit its figures")
        del values["schema"]
        return _checked(Baseline(**values))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such baseline; {remedy}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not a baseline file ({type(error).__name__}: {error}); {remedy}") from error


def _checked(baseline: Baseline) -> Baseline:
    """Refuse figures that no run gives: shares are whole photographs."""
    if not (isinstance(baseline.images, int) and 1 <= baseline.images <= _MAX_IMAGES):
        raise ValueError(f"{baseline.images!r} photographs")
    if type(baseline.sqnr_db) not in (int, float) or not abs(baseline.sqnr_db) <= _MAX_SQNR_DB:
        raise ValueError(f"an SQNR of {baseline.sqnr_db!r} dB")
    for share in (baseline.agreement, *([] if baseline.top1 is None else [baseline.top1])):
        photographs = share * baseline.images
        if not 0.0 <= share <= 1.0 or abs(photographs - round(photographs)) > SHARE_ROUNDING * baseline.images:
            raise ValueError(f"{share} is no share of {baseline.images} photographs")
    return baseline


def _seal(values: Mapping[str, Any]) -> str:
    """Tell a slip of the hand from a figure: no secret is in it, and who wants to can compute it anew."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
