"""The whole state of a run in one file that appears complete or not at all."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.files import foreign
from edge_effnet.io.text import brief
from edge_effnet.weights.files import read_pickle
from quant.common.atomic_io import write_atomically

_FORMAT = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainState:
    """What a run needs to resume as if it had never stopped.

    The schedule, the sampler's position and every random number (augmentation, dropout, DropConnect) are
    functions of the seed and the step, so `step` holds all three.
    """

    identity: dict[str, Any]
    """`TrainConfig.identity()`, with class names and the number of images."""
    step: int
    """Steps done."""
    model: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    """Of the loss, empty where it is not scaled."""
    loss_sum: float
    """Of the steps of this epoch so far."""
    rows: list[dict[str, float]]
    """The learning curve so far."""
    best: dict[str, torch.Tensor]
    """The averaged weights that were judged best; empty where the last ones are kept."""
    best_row: int
    """Their row of the curve."""


def save_state(path: Path, state: TrainState) -> None:
    """Write a checkpoint; the old one stays until the new one is complete.

    Raises:
        MachineError: the disk is full or not writable.
    """
    file = io.BytesIO()
    torch.save({"format": _FORMAT} | {name: getattr(state, name) for name in state.__slots__}, file)
    write_atomically(path, file.getvalue())


def whole_checkpoint(path: Path) -> AbstractContextManager[None]:
    """Say in one sentence that a checkpoint is damaged, whichever reader of its parts meets it first."""
    return foreign(_damaged(path))


def _damaged(path: Path) -> str:
    return f"{path}: not a complete checkpoint of a training run; start over without --resume."


def load_state(path: Path, identity: dict[str, Any]) -> TrainState:
    """Read a checkpoint and make sure that it is of this run.

    Raises:
        InputError: none there, damaged, or of a run with other settings (named).
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; leave out --resume to start over.")
    with whole_checkpoint(path):
        values = read_pickle(path, damaged=_damaged(path))
        if (found := values.pop("format")) != _FORMAT:
            raise InputError(
                f"{path}: a checkpoint of format {brief(found)}, this version reads {_FORMAT}; start over."
            )
        state = TrainState(**values)
        for name, now in identity.items():
            if (then := state.identity.get(name)) != now:
                raise InputError(
                    f"{path}: a checkpoint of another run: its {name} is {brief(repr(then))}, now it is {now!r}; "
                    "resume with the same settings, or start over without --resume."
                )
    return state
