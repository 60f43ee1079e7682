"""What a run writes beside its weights: the learning curve; and what of an earlier run stands there, or of others."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from safetensors import SafetensorError, safe_open

from edge_effnet.errors import InputError
from edge_effnet.weights.save import METADATA_KEY
from quant.common.atomic_io import require_writable, write_atomically
from quant.common.json_io import read_json

BESIDE = (".checkpoint", ".curve.csv", ".curve.png")
"""What every run writes beside its weights."""

OUTPUTS = (".safetensors", ".json", *BESIDE)

_MAX_METADATA_BYTES = 64 * 1024 * 1024

_CHECKPOINT_KEYS = (b"format", b"identity")
"""The first two of `checkpoint.save_state`."""
_BEGINNING_BYTES = 256


def require_earlier_outputs(out: Path, suffixes: Sequence[str], *, resume: bool) -> None:
    """Refuse places that cannot be written, and to overwrite what no earlier run wrote.

    Args:
        out: the weights; the others are named after it, by `suffixes`.
        suffixes: of what the run will write.
        resume: whether it begins by reading its checkpoint, which refuses any other one then.

    Raises:
        InputError: something else stands at one of these places.
        MachineError: no permission to write there, or a name that is too long.
    """
    require_writable(out)
    for suffix in suffixes:
        path = out.with_suffix(suffix)
        stands = path.exists() or path.is_symlink()
        if stands and not (resume and suffix == ".checkpoint") and not _is_earlier(out, suffix):
            raise InputError(
                f"{path}: would be overwritten, and is of no earlier training run; move it elsewhere, or choose "
                "another --out."
            )


def _is_earlier(out: Path, suffix: str) -> bool:
    if suffix in _TOLD_BY_CURVE and _fits(out.with_suffix(".curve.csv"), _is_curve):
        return out.with_suffix(suffix).is_file()
    return suffix in _KNOWN and _fits(out.with_suffix(suffix), _KNOWN[suffix])


def _fits(path: Path, known: Callable[[Path], bool]) -> bool:
    try:
        return path.is_file() and known(path)
    # Somebody else's file, or a damaged one.
    except (OSError, ValueError, NotImplementedError, RuntimeError, SafetensorError, zipfile.BadZipFile):
        return False


def _is_weights(path: Path) -> bool:
    with safe_open(path, framework="pt") as file:
        return METADATA_KEY in (file.metadata() or {})


def _is_metadata(path: Path) -> bool:
    values = read_json(path, limit=_MAX_METADATA_BYTES)
    return isinstance(values, dict) and {"variant", "command", "class_names"} <= set(values)


def _is_curve(path: Path) -> bool:
    start = ",".join(COLUMNS).encode()
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _is_checkpoint(path: Path) -> bool:
    """By its beginning, for which nothing has to be unpickled."""
    with zipfile.ZipFile(path) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(pickled) as file:
            start = file.read(_BEGINNING_BYTES)
    return all(key in start for key in _CHECKPOINT_KEYS)


_KNOWN: Mapping[str, Callable[[Path], bool]] = {
    ".safetensors": _is_weights,
    ".json": _is_metadata,
    ".checkpoint": _is_checkpoint,
    ".curve.csv": _is_curve,
}

_TOLD_BY_CURVE = (".checkpoint", ".curve.png")
"""Numbers of ours beside them are enough: a picture does not say whose it is, a damaged checkpoint not any more."""


COLUMNS = ("step", "epoch", "image_size", "learning_rate", "train_loss")
"""Before those of the validation."""


def write_csv(out: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write `<out>.curve.csv`.

    Raises:
        MachineError: the disk is full or not writable.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, tuple(rows[0]) if rows else COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out.with_suffix(".curve.csv"), text.getvalue().encode())


def write_png(out: Path, rows: Sequence[dict[str, float]]) -> bool:
    """Write `<out>.curve.png`, unless matplotlib is not installed: then False.

    Raises:
        MachineError: the disk is full or not writable.
    """
    picture = _draw(rows)
    if picture is not None:
        write_atomically(out.with_suffix(".curve.png"), picture)
    return picture is not None


def _draw(rows: Sequence[dict[str, float]]) -> bytes | None:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:  # an extra: the CSV says the same
        return None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    loss = figure.subplots()
    top1 = loss.twinx()
    steps = [row["step"] for row in rows]
    # Without labels there is no top-1.
    judged, name = ("val_agreement", "agreement") if rows and "val_top1" not in rows[0] else ("val_top1", "top-1")
    loss.plot(steps, [row["train_loss"] for row in rows], color="tab:blue", marker=".", label="training loss")
    top1.plot(steps, [100 * row[judged] for row in rows], color="tab:orange", marker=".", label=f"validation {name}")
    for before, after in pairwise(rows):
        if before["image_size"] != after["image_size"]:
            loss.axvline(before["step"], color="grey", linestyle=":")
            loss.annotate(f"{after['image_size']:.0f} px", (before["step"], loss.get_ylim()[1]), va="top")
    loss.set(xlabel="step", ylabel="training loss")
    top1.set(ylabel=f"validation {name} of the averaged weights, %", ylim=(0, 100))
    figure.legend(loc="outside upper right", ncols=2)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
