"""Reading a weight file into plain Python containers and tensors, without running code from it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from edge_effnet.errors import InputError
from edge_effnet.io.files import foreign
from edge_effnet.io.text import brief
from edge_effnet.weights.formats import HEAD_BYTES, ZIP_SIGNATURE, is_safetensors, refuse_other_formats, zip_names
from edge_effnet.weights.pickles import read_pickle
from edge_effnet.weights.torchscript import is_torchscript, read_torchscript

SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors", ".ptl")

_HASH_BLOCK_BYTES = 1024 * 1024


def sha256_of(path: Path) -> str:
    """Hash a file's bytes; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read_file(path: Path) -> Any:
    """Read a file of torch.save, torch.jit.save or safetensors, whatever its name.

    Returns:
        What the file holds: for safetensors the dict of tensors, with the header's metadata (strings) added
        under its own keys beside a `state_dict`.

    Raises:
        InputError: no such file, not readable, not such a format, damaged, or a pickle that wants to run
            code.
    """
    _require_weight_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    refuse_other_formats(head, path)
    zipped = head.startswith(ZIP_SIGNATURE)
    if is_safetensors(head, path) or path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    if zipped and is_torchscript(zip_names(path)):
        return read_torchscript(path)
    return read_pickle(
        path,
        damaged=f"{path}: not a complete PyTorch weight file: truncated, damaged, or of another format; download or "
        "copy it again.",
    )


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


def _read_safetensors(path: Path) -> dict[str, Any]:
    with foreign(f"{path}: not a complete safetensors file; download or copy it again."):
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
                metadata = file.metadata() or {}
        except SafetensorError as error:
            raise InputError(
                f"{path}: not a complete safetensors file ({brief(error)}); download or copy it again."
            ) from error
    return {**metadata, "state_dict": tensors}
