"""The state dict of a TorchScript archive: its tensors and their names are read, its code is not looked at."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import _weights_only_unpickler
from torch.serialization import _load

from edge_effnet.errors import InputError
from edge_effnet.io.files import foreign
from edge_effnet.weights.formats import SAVE
from edge_effnet.weights.inert import Holder

_MAX_PICKLE = 64 * 1024 * 1024
"""Bytes of the pickle beside the tensors, which names modules; that of B7 has 0.4 MB."""

_MODULES = "__torch__."
_WITHOUT_NAMES = re.compile(r"__torch__\.torch\.classes\.(?:xnnpack|quantized|vulkan)\.")

_FROZEN = (
    "a TorchScript that was frozen or optimized for phones: its weights lie in its code and have no names any more; "
    f"in the Python that made it: import torch; model = ...  # the network; {SAVE}."
)

ACTIVATIONS_KEY = "torchscript_activations"
"""Under which `read_torchscript` tells the classes of the archive's modules."""

CLASSES_OF_ACTIVATIONS = {
    "swish": ("SiLU", "Swish", "SwishMe", "MemoryEfficientSwish", "SiLUActivation"),
    "hardswish": ("Hardswish", "HardSwish", "HardSwishMe"),
    "relu6": ("ReLU6",),
    "relu": ("ReLU",),
}
"""By their names in torch, timm, EfficientNet-PyTorch and transformers."""

_UNKNOWN = ("LeakyReLU", "PReLU", "ELU", "GELU", "Mish", "Softplus", "Softmax", "LogSoftmax", "Tanh", "Hardsigmoid")


class _Module(Holder):
    """Any module of the archive: its attributes, no code."""


def is_torchscript(names: tuple[str, ...]) -> bool:
    """Whether a zip of these files was written by torch.jit."""
    return any(name.partition("/")[2] == "constants.pkl" for name in names)


def read_torchscript(path: Path) -> dict[str, Any]:
    """Read the tensors of what torch.jit.save or `_save_for_lite_interpreter` wrote.

    Returns:
        `state_dict`; the names of its modules' classes; and `arch`, where these tell timm's ports from TensorFlow.

    Raises:
        InputError: damaged, or frozen (its weights have no names any more).
    """
    with foreign(f"{path}: not a complete TorchScript file: truncated or damaged; download or copy it again."):
        named = (argument for opcode, argument, _ in pickletools.genops(_pickle_of(path)) if opcode.name == "GLOBAL")
        names = {str(argument).replace(" ", ".") for argument in named}  # module.name
        if any(map(_WITHOUT_NAMES.match, names)):
            raise InputError(f"{path}: {_FROZEN}")
        stand_ins: list[Any] = [(_Module, name) for name in names if name.startswith(_MODULES)]
        rebuilt = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
        stand_ins += [(_first, f"torch.jit._pickle.{name}") for name in rebuilt]
        reader = torch._C.PyTorchFileReader(str(path))
        mapped = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)
        with torch.serialization.safe_globals(stand_ins):
            loaded = _load(reader, "cpu", _weights_only_unpickler, overall_storage=mapped)
        tensors = dict(_tensors_of(loaded))
        if not tensors:
            raise InputError(f"{path}: {_FROZEN}")
    classes = {name.rpartition(".")[2] for name in names if name.startswith(_MODULES)}
    of_timm = any(name.startswith(f"{_MODULES}timm.") for name in names)
    # timm's convolution that pads as TensorFlow does: its own networks have none.
    arch = {"arch": "tf_efficientnet_" if "Conv2dSame" in classes else "efficientnet_"} if of_timm else {}
    return {"state_dict": tensors, ACTIVATIONS_KEY: sorted(classes), **arch}


def _pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.filename.partition("/")[2] == "data.pkl")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > min(_MAX_PICKLE, path.stat().st_size):
            raise zipfile.BadZipFile("a pickle that unpacks to more than it is")
        return archive.read(entry)


def require_activations(metadata: Mapping[str, Any], activation: str, path: Path) -> None:
    """Refuse a TorchScript whose modules are not those of a network with `activation`.

    Raises:
        InputError: naming the modules.
    """
    # SiLU and the gates' Sigmoid are in every network or in none.
    allowed = ("swish", activation)
    refused = {*_UNKNOWN}.union(*(names for key, names in CLASSES_OF_ACTIVATIONS.items() if key not in allowed))
    others = sorted(refused & set(metadata.get(ACTIVATIONS_KEY, ())))
    if others:
        raise InputError(
            f"{path}: a TorchScript with {', '.join(others)}, which this variant has not: its weights alone would "
            "compute something else; where they do not, save them: import torch; model = torch.jit.load(PATH); "
            f"{SAVE}."
        )


def _first(value: Any, *_arguments: object) -> Any:
    return value


def _tensors_of(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield a module's tensors by the names that its state dict would have."""
    if not isinstance(value, _Module) or depth > 32:
        return
    for name, inner in vars(value).items():
        if isinstance(inner, torch.Tensor):
            yield prefix + name, inner
        else:
            yield from _tensors_of(inner, f"{prefix}{name}.", depth + 1)
