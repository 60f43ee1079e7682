"""Reading a weight file into plain Python containers and tensors, without running code from it."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from edge_effnet.errors import InputError

SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors")

_HASH_BLOCK_BYTES = 1024 * 1024

_MAX_EXPANSION = 4

# What training scripts keep beside the weights and what cannot run anything: parsed arguments, and numpy's
# scalars (a best accuracy, say) under the names that numpy 1 and 2 give them.
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_SAFE_CLASSES: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
]

_REFUSED_NAME = re.compile(r"(?:Unsupported global: GLOBAL|unsupported GLOBAL|Unsupported class) ([\w.]+)")


def sha256_of(path: Path) -> str:
    """Hash a file's bytes; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_file(path: Path) -> Any:
    """Read a `.pth`-like or `.safetensors` file.

    Returns:
        What the file holds: for safetensors the dict of tensors, with the header's metadata (strings) added
        under its own keys beside a `state_dict`.

    Raises:
        InputError: no such file, not readable, not such a format, damaged, or a pickle that wants to run
            code.
    """
    _require_weight_file(path)
    _require_sane_archive(path)
    return _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)


def _require_weight_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: a folder; give the weight file itself ({', '.join(SUFFIXES)}).")
    if not path.exists():
        raise InputError(f"{path}: no such file.")
    if not path.is_file():
        raise InputError(f"{path}: not a regular file; give a weight file ({', '.join(SUFFIXES)}).")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: no permission to read this file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; download or copy it again.")


def _require_sane_archive(path: Path) -> None:
    """Refuse a zip that unpacks to far more than it is: torch stores its tensors as they are."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _unreadable(path) from error
    if unpacked > _MAX_EXPANSION * path.stat().st_size:
        raise InputError(
            f"{path}: unpacks to {unpacked} bytes from {path.stat().st_size}, which no PyTorch weight file does; "
            "do not use it."
        )


def _read_safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise InputError(f"{path}: not a complete safetensors file ({error}); download or copy it again.") from error
    return {**metadata, "state_dict": tensors}


def _read_pickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_SAFE_CLASSES):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = _REFUSED_NAME.search(str(error))
        if refused is None:
            raise _unreadable(path) from error
        raise InputError(
            f"{path}: refused, because unpickling it would run {refused[1]}, which can be any code; save "
            "plain weights instead: torch.save(model.state_dict(), PATH)."
        ) from error
    # A damaged or foreign file fails in whichever reader meets it first, with whichever of these.
    except (
        RuntimeError,
        EOFError,
        KeyError,
        ValueError,
        IndexError,
        TypeError,
        AttributeError,
        OSError,
    ) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> InputError:
    return InputError(
        f"{path}: not a complete PyTorch weight file: truncated, damaged, or of another format; download or "
        "copy it again."
    )
