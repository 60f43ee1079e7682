"""Stand-ins for what training scripts pickle beside weights: they hold what they are given and run nothing.

Unpickling calls what a file names. Under these names it finds objects of ours that keep numbers, names and paths as
plain Python, so that numpy, pathlib or scikit-learn never see a byte of the file.
"""

from __future__ import annotations

import argparse
import pickle
import re
from typing import Any

import numpy as np

_NUMBERS = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)) | {"b1", "f2", "f4", "f8"}
_TEXT = re.compile(r"U(\d{1,6})")
_MAX_BYTES = 4 * 1024 * 1024
"""Of an array that is read: as many as a list of 21,843 class names has, and more."""


class DType:
    """Stands for `numpy.dtype`: one of numbers, text or Python objects."""

    def __init__(self, name: object, *_flags: object) -> None:
        if not isinstance(name, str) or not (name in _NUMBERS or name in ("O8", "O") or _TEXT.fullmatch(name)):
            raise pickle.UnpicklingError(f"numpy type {name!r}")
        self.name = name
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order; sizes are those of the name."""
        self.order = ">" if state[1] == ">" else "<"

    def decoded(self, data: object) -> list[Any]:
        """Numbers or strings from the bytes of an array; objects come as a list already."""
        if self.name.startswith("O"):
            return list(data) if isinstance(data, list) else [data]
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError("numpy data that is no bytes")
        if self.name in _NUMBERS:
            return list(np.frombuffer(data, dtype=np.dtype(self.order + self.name)).tolist())
        size = 4 * max(1, int(self.name[1:]))
        codec = "utf-32-be" if self.order == ">" else "utf-32-le"
        return [data[at : at + size].decode(codec).rstrip("\0") for at in range(0, len(data), size)]


class Array:
    """Stands for `numpy.ndarray`."""

    _dtype: DType | None = None
    _data: Any = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take `(version, shape, dtype, fortran order, data)`."""
        _, _, dtype, _, data = state
        if not isinstance(dtype, DType):
            raise pickle.UnpicklingError("a numpy array without a type")
        self._dtype, self._data = dtype, data

    @property
    def values(self) -> tuple[Any, ...]:
        """The elements in a row, as plain Python; none of an array too large for a list of names, or damaged."""
        if self._dtype is None or len(self._data) > _MAX_BYTES:
            return ()
        try:
            return tuple(self._dtype.decoded(self._data))
        except ValueError:  # no text, or half an element
            return ()


class Holder:
    """Stands for an object that is its attributes: scikit-learn's LabelEncoder, a namespace."""


class Config(Holder):
    """Stands for a node of omegaconf, as hydra and Lightning leave their configs."""

    def plain(self) -> Any:
        """Dicts, lists and values; None where it is nested too deep or holds itself."""
        return _plain(self, [_MOST_NODES])


_MOST_NODES = 10_000
_DEEPEST = 16


def _plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > _DEEPEST:
        return None
    if isinstance(value, Config):
        held = vars(value)
        return _plain(held.get("_content", held.get("_val")), budget, depth + 1)
    if isinstance(value, dict):
        return {key: _plain(inner, budget, depth + 1) for key, inner in value.items()}
    return [_plain(inner, budget, depth + 1) for inner in value] if isinstance(value, list) else value


class _Dict:
    """Makes a plain dict where a file names a subclass."""

    def __new__(cls, *_arguments: object) -> Any:
        return {}


class _Text:
    """Makes a plain string where a file names a subclass."""

    def __new__(cls, value: object = "", *_arguments: object) -> Any:
        return value if isinstance(value, str) else ""


def _array(*_arguments: object) -> Array:
    return Array()


def _scalar(dtype: DType, data: Any = b"") -> Any:
    if isinstance(data, bytes) and len(data) > _MAX_BYTES:
        raise pickle.UnpicklingError("a numpy scalar of that size")
    return dtype.decoded(data)[0]


def _path(*parts: str) -> str:
    return "/".join(parts).replace("//", "/")


def _nothing(*_arguments: object) -> None:
    """Dates, and the types that a defaultdict makes its values of: nothing reads them."""


_ATTRIBUTE_DICTS = (
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")

_CONFIGS = (
    *("dictconfig.DictConfig", "listconfig.ListConfig", "base.Metadata", "base.ContainerMetadata"),
    *(f"nodes.{kind}Node" for kind in ("Any", "String", "Integer", "Float", "Boolean", "Path", "Enum", "Bytes")),
    *("nodes.UnionNode", "base.UnionNode"),
)

SAFE_CLASSES: list[Any] = [
    argparse.Namespace,
    (DType, "numpy.dtype"),
    (Array, "numpy.ndarray"),
    *((_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((Holder, f"sklearn.preprocessing.{module}.LabelEncoder") for module in ("_label", "label")),
    (Holder, "types.SimpleNamespace"),
    *((_path, f"{module}.{name}") for module in ("pathlib", "pathlib._local") for name in _PATHS),
    *((_nothing, f"datetime.{name}") for name in ("datetime", "date", "time", "timedelta", "timezone")),
    *((_nothing, f"builtins.{name}") for name in ("list", "dict", "int", "float", "str", "tuple", "bool")),
    *((Config, f"omegaconf.{name}") for name in _CONFIGS),
    (_nothing, "typing.Any"),
    (_nothing, "builtins.frozenset"),  # names in no order
    (_Dict, "collections.defaultdict"),
    *((_Dict, name) for name in _ATTRIBUTE_DICTS),
    (_Text, "torch.torch_version.TorchVersion"),
]
"""For `torch.serialization.safe_globals`."""
