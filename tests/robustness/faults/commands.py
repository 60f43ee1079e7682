"""The table of commands that are killed: what each writes, and what has to be true of it at every moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_effnet import load_checkpoint
from edge_effnet.errors import InputError
from quant.artifact.open import open_artifact
from quant.training.checkpoint import load_state
from tests.support.tiny import SIDE, TinyFiles


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One command line."""

    words: Callable[[TinyFiles, Path, Path], tuple[str, ...]]
    """(input files, an artifact of them, folder to write into) -> program and arguments."""
    outputs: Mapping[str, Callable[[Path], object]]
    """Every name that it leaves in that folder, and how it is read; the reader raises where it is not whole."""


def _training_state(path: Path) -> None:
    """Another run's state is refused by name; a damaged one is no state at all."""
    try:
        load_state(path, {"variant": "lite0"})
    except InputError as error:
        if "not a complete checkpoint" in str(error):
            raise


def _text(path: Path) -> None:
    text = path.read_text()
    if not text.endswith("\n"):
        raise ValueError(f"{path}: cut at {text[-20:]!r}")


def _picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


COMMANDS: dict[str, Command] = {
    "quantize": Command(
        words=lambda files, _, out: (
            *("quantize", "--variant", "lite0", "--weights", str(files.weights), "--data", str(files.data)),
            *("--calibration", "24", "--out", str(out / "artifact"), "--json"),
        ),
        outputs={"artifact": open_artifact},
    ),
    "train": Command(
        words=lambda files, _, out: (
            *("edge-effnet", "train", "--variant", "lite0", "--data", str(files.data), "--image-size", str(SIDE)),
            *("--out", str(out / "w.safetensors"), "--epochs", "2", "--batch-size", "24", "--checkpoint-every", "1"),
            *("--workers", "0", "--threads", "1"),
        ),
        outputs={
            "w.safetensors": lambda path: load_checkpoint(path, "lite0"),
            "w.json": lambda path: json.loads(path.read_text()),
            "w.checkpoint": _training_state,
            "w.curve.csv": _text,
            "w.curve.png": _picture,
        },
    ),
    "check": Command(
        words=lambda files, artifact, out: (
            *("edge-effnet", "check", str(artifact), "--data", str(files.data), "--json"),
            *("--baseline", str(out / "baseline.json"), "--update-baseline"),
        ),
        outputs={"baseline.json": lambda path: json.loads(path.read_text())},
    ),
}
"""A row a command; the baseline's reader is plain JSON, since only whole files have an end."""
