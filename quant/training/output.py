"""The finished weights and what is to be known about them."""

from __future__ import annotations

import copy
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.model import EfficientNet
from edge_effnet.weights.files import sha256_of
from edge_effnet.weights.save import save_checkpoint
from edge_effnet.weights.snapshot import weight_file
from quant.common.atomic_io import write_atomically
from quant.common.json_io import read_json

_PROGRAMS = {"edge_effnet.py": "edge-effnet"}

# Of one run some kilobytes, and it holds those of the runs before.
_MAX_METADATA_BYTES = 1024 * 1024


def rounded_to_half(model: EfficientNet) -> EfficientNet:
    """Return a copy with fp32 values that fp16 can hold, so that validation judges what will be saved.

    Raises:
        InputError: a value beyond fp16's range.
    """
    rounded = copy.deepcopy(model)
    for name, tensor in rounded.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half().float())
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{name} has values beyond fp16's range (65504); save without --half.")
    return rounded


def write_weights(path: Path, model: EfficientNet, *, half: bool, metadata: dict[str, Any]) -> Path:
    """Write the weights and, as `<path>.json`, their metadata; return the latter's path.

    Raises:
        MachineError: the disk is full or not writable.
    """
    saved = copy.deepcopy(model).cpu()
    save_checkpoint(path, saved.half() if half else saved)
    metadata_path = path.with_suffix(".json")
    write_atomically(metadata_path, (json.dumps(metadata, indent=2) + "\n").encode())
    return metadata_path


def started_from(weights: Path | None) -> dict[str, Any] | None:
    """Describe the weights that a run began with: their SHA-256 and, where it lies beside them, their metadata.

    Runs that build on each other so record the whole chain of commands.
    """
    if weights is None:
        return None
    beside = weights.with_suffix(".json")
    try:
        known = read_json(beside, limit=_MAX_METADATA_BYTES)
    except (OSError, ValueError):  # none, or somebody else's file of that name
        known = None
    return {"file": weights.name, "sha256": sha256_of(weight_file(weights)), "metadata": known}


def command_line() -> str:
    """Return how this process was started, as a user would type it."""
    name = Path(sys.argv[0]).name
    # Started with -m, as torchrun does, the program is a file.
    return shlex.join([_PROGRAMS.get(name, name), *sys.argv[1:]])
