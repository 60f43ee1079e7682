"""Reading a weight file into plain Python containers and tensors, without running code from it."""

from __future__ import annotations

import hashlib
import itertools
import mmap
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from edge_effnet.errors import InputError
from edge_effnet.io.files import foreign
from edge_effnet.io.text import brief, listed_names
from edge_effnet.weights.formats import HEAD_BYTES, ZIP_SIGNATURE, is_safetensors, refuse_other_formats, zip_names
from edge_effnet.weights.inert import SAFE_CLASSES
from edge_effnet.weights.torchscript import is_torchscript, read_torchscript

SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors", ".ptl")

_NO_NETWORK = re.compile(r"optimi|sched|scaler|rng|random_states|training_args", re.IGNORECASE)
"""What trainers put beside the weights."""

_BELOW = ("*/*", "*/*/*", "*/*/*/*")
"""Where trainers put weight files in a run's folder, as `lightning_logs/version_0/checkpoints`."""
_MOST_LOOKED_AT = 10_000
"""Files below a folder; it can be the root of a disk."""


def sha256_of(path: Path) -> str:
    """Hash a file's bytes; 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def may_be_weights(path: Path) -> bool:
    """Whether it is a file that is called as weights are, and not as what trainers put beside them."""
    return path.suffix.lower() in SUFFIXES and not _NO_NETWORK.match(path.name) and path.is_file()


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
    if is_safetensors(head, path) or path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    if is_torchscript(zip_names(head, path)):
        return read_torchscript(path)
    return read_pickle(
        path,
        damaged=f"{path}: not a complete PyTorch weight file: truncated, damaged, or of another format; download or "
        "copy it again.",
    )


def _require_weight_file(path: Path) -> None:
    if path.is_dir():
        below = itertools.islice(itertools.chain.from_iterable(map(path.glob, _BELOW)), _MOST_LOOKED_AT)
        if found := sorted(file.relative_to(path).as_posix() for file in below if may_be_weights(file)):
            raise InputError(
                f"{path}: a folder with no weight file in it but {len(found)} below ({listed_names(found)}); give "
                "the one that is meant."
            )
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


_REFUSED_NAME = re.compile(r"(?:Unsupported global: GLOBAL|unsupported GLOBAL|Unsupported class) ([\w.]+)")

# Classes of networks; torchvision and timm have transforms and enums too.
_OF_NETWORKS = re.compile(
    r"(?:torch\.(?:nn\.modules|nn\.parallel|fx)|torchvision\.models|timm\.models|efficientnet_pytorch|geffnet"
    r"|transformers\.models|__main__)\."
)
_KEY_OF_WEIGHTS = re.compile(
    rb"X.\0\0\0(?P<key>(?!optim|sched)[a-z]\w*?)(?:q.|r....|\x94)?"
    rb"(?:ccollections\nOrderedDict\n|(?<=state_dict)\}|(?<=state_dict)(?:q.|r....|\x94)\})",
    re.DOTALL,
)
"""In a pickle, a short name with a dict behind it: an ordered one, as of every module, or any under such a name."""
_WHOLE = (
    ": a whole model, not its weights; where it was made, run: import torch; model = torch.load(PATH, "
    'weights_only=False); torch.save(model.state_dict(), "weights.pth").'
)
_IN_A_DICT = (
    ": a whole model, not its weights; where it was made, run: import torch; loaded = torch.load(PATH, "
    "weights_only=False); torch.save(loaded['model'].state_dict(), 'weights.pth') with its own key."
)
_PLAIN = "; save plain weights instead: torch.save(model.state_dict(), PATH)."
_BESIDE = (
    "; save plain weights instead: torch.save(model.state_dict(), PATH); it lies beside the weights: where it was "
    "made, and only if you trust the file, run torch.save(torch.load(PATH, weights_only=False)[{key!r}], "
    "'weights.pth'), which leaves it out."
)

# torch takes these for harmless, and a few bytes make them fill any memory; no weights need them.
_FILLS_MEMORY = ("bytearray", "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_device_tensor_from_numpy")


def read_pickle(path: Path, *, damaged: str) -> Any:
    """Read what `torch.save` wrote, in its present or its older format; tensors of the present one are mapped.

    Raises:
        InputError: saying `damaged` of what is no such file or not a complete one; a pickle that wants to run code,
            or one that unpacks to more than it is.
    """
    with foreign(damaged), torch.serialization.safe_globals(SAFE_CLASSES):
        try:
            zipped = _is_zip(path)
            if zipped:
                _require_stored(path)
            _require_frugal(path, zipped=zipped)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except pickle.UnpicklingError as error:
            refused = _REFUSED_NAME.search(str(error))
            if refused is None:
                raise
            raise InputError(
                f"{path}: refused, because unpickling it would run {brief(refused[1])}, which can be any code"
                f"{_remedy(path, refused[1], zipped=zipped)}"
            ) from error


def _remedy(path: Path, refused: str, *, zipped: bool) -> str:
    """What to do about a name that is not unpickled: it stands first, or in a dict beside the weights."""
    record = _record(path) if zipped else b""
    if record[2:3] != pickle.EMPTY_DICT:
        return _WHOLE if _OF_NETWORKS.match(refused) else _PLAIN
    found = _KEY_OF_WEIGHTS.search(record)
    return _IN_A_DICT if found is None else _BESIDE.format(key=found["key"].decode())


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_SIGNATURE)) == ZIP_SIGNATURE


def _require_stored(path: Path) -> None:
    """Refuse a zip that unpacks to more than it is: torch stores tensors, which lets them be mapped, not read."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    size, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
    if unpacked > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError(
            f"{path}: a zip whose {size} bytes unpack to {unpacked}, which no PyTorch weight file does; do "
            "not use it, or save it again with torch.save."
        )


def _require_frugal(path: Path, *, zipped: bool) -> None:
    """Refuse what takes memory by number instead of by content."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pickled = _record(path) if zipped else mapped
        # In a pickle a function's name stands on a line of its own.
        found = next((name for name in _FILLS_MEMORY if pickled.find(f"\n{name}\n".encode()) >= 0), None)
    if found is not None:
        raise InputError(
            f"{path}: refused, because unpickling it would run {found}, which can fill the memory; save plain "
            "weights instead: torch.save(model.state_dict(), PATH)."
        )


def _record(path: Path) -> bytes:
    """The pickle of a zip, without its tensors."""
    return bytes(torch._C.PyTorchFileReader(str(path)).get_record("data.pkl"))
