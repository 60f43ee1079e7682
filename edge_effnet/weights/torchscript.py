"""The state dict of a TorchScript archive: tensors and names are read, its code is searched and never run."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import _weights_only_unpickler
from torch.serialization import _load

from edge_effnet.errors import InputError
from edge_effnet.head import kind_of_step
from edge_effnet.io.files import foreign
from edge_effnet.io.text import listed_names
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

COMPUTES_KEY = "torchscript_computes"
"""Under which `read_torchscript` tells what the archive's code does: a `Computes`."""

CLASSES_OF_ACTIVATIONS = {
    "swish": ("SiLU", "Swish", "SwishMe", "MemoryEfficientSwish", "SiLUActivation"),
    "hardswish": ("Hardswish", "HardSwish", "HardSwishMe"),
    "relu6": ("ReLU6",),
    "relu": ("ReLU",),
}
"""By their names in torch, timm, EfficientNet-PyTorch and transformers."""

_CLASSES = CLASSES_OF_ACTIVATIONS | {
    "silu": CLASSES_OF_ACTIVATIONS["swish"],
    "leakyrelu": ("LeakyReLU",),
    "elu": ("ELU",),
    "gelu": ("GELU",),
    "tanh": ("Tanh",),
    "": ("PReLU", "Mish", "Softplus", "Softmax", "LogSoftmax", "Hardsigmoid"),
}
"""Classes of an activation, or of a step of a head; those under no name are in no network here."""

_OPERATORS_OF = {
    "swish": ("silu",),
    "relu6": ("hardtanh", "relu6"),
    "leakyrelu": ("leaky_relu",),
    "layernorm": ("layer_norm",),
}
"""Where an activation, or a step of a head, is not an operator of its own name."""

_OPERATORS = frozenset(
    (
        *("convolution", "conv2d", "batch_norm", "linear", "addmm", "matmul", "t", "add", "mul", "sigmoid", "mean"),
        *("adaptive_avg_pool2d", "avg_pool2d", "flatten", "view", "reshape", "squeeze", "unsqueeze", "dropout"),
        *("feature_dropout", "pad", "constant_pad_nd", "contiguous", "clone", "detach", "alias", "to", "size", "dim"),
        *("numel", "len", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is", "isnot", "contains"),
        *("format", "warn", "append", "list", "slice", "select", "getitem", "is_grad_enabled", "is_floating_point"),
    )
)
"""What an EfficientNet of any activation is made of, and what changes no number."""

_ARITHMETIC = frozenset(
    (
        *("sub", "rsub", "div", "floor_divide", "floordiv", "remainder", "ceil", "floor", "clamp", "clamp_min"),
        *("neg", "max", "maximum"),
    )
)
"""Sizes of padding are computed by these; images and features are not."""

_OF_SIZES = re.compile(r"\.(?:pad|constant_pad_nd|bernoulli|rand|rand_like)_?\(")
"""Functions with one of these pad, or drop at random in training: what else they compute is for that."""

_IN_TRAINING = frozenset(("bernoulli", "rand", "rand_like", "empty", "new_empty"))
_NORMALISING = frozenset(("sub", "div"))

_FUNCTION = re.compile(r"^[ \t]*def ", re.MULTILINE)
_OPERATOR = re.compile(r"\b(?:torch|ops\.(\w+))\.(\w+)\(")
_OUTPUTS = ("softmax", "sigmoid")


@dataclass(frozen=True, kw_only=True, slots=True)
class Computes:
    """What an archive computes, as far as names tell."""

    classes: frozenset[str]
    """Of its modules."""
    operators: frozenset[str]
    """That its code calls, but for arithmetic of sizes."""
    output: str | None
    """What the outermost module does last: one of `_OUTPUTS`, or None."""


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
        # module.name, the root first
        names = list(dict.fromkeys(str(argument).replace(" ", ".") for argument in named))
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
        operators, output = _computed(_functions_of(path), names[0])
    classes = {name.rpartition(".")[2] for name in names if name.startswith(_MODULES)}
    of_timm = any(name.startswith(f"{_MODULES}timm.") for name in names)
    # timm's convolution that pads as TensorFlow does: its own networks have none.
    arch = {"arch": "tf_efficientnet_" if "Conv2dSame" in classes else "efficientnet_"} if of_timm else {}
    computes = Computes(classes=frozenset(classes), operators=operators, output=output)
    return {"state_dict": tensors, COMPUTES_KEY: computes, **arch}


def _pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.filename.partition("/")[2] == "data.pkl")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > min(_MAX_PICKLE, path.stat().st_size):
            raise zipfile.BadZipFile("a pickle that unpacks to more than it is")
        return archive.read(entry)


def _functions_of(path: Path) -> list[str]:
    """The text of each function in the archive's code."""
    with zipfile.ZipFile(path) as archive:
        entries = [e for e in archive.infolist() if "/code/" in e.filename and e.filename.endswith(".py")]
        if sum(entry.file_size for entry in entries) > _MAX_PICKLE:
            raise zipfile.BadZipFile("more code than a network has")
        texts = [archive.read(entry).decode() for entry in entries]
    functions = []
    for text in texts:
        starts = [match.start() for match in _FUNCTION.finditer(text)]
        functions += [text[start:end] for start, end in pairwise([*starts, len(text)])]
    return functions


def _computed(functions: list[str], root: str) -> tuple[frozenset[str], str | None]:
    """Operators, by their names without a last `_`, and what the forward pass of the class `root` ends in."""
    output = next((_output_of(text) for text in functions if f"def forward(self: {root}," in _plain_self(text)), None)
    found: set[str] = set()
    for text in functions:
        if "Tensor" not in text.partition(":\n")[0]:
            continue  # of numbers, such as sizes
        called = {f"{space}.{name}" if space else name.strip("_") for space, name in _OPERATOR.findall(text)}
        called = {name for name in called if not name.startswith("prim.")}
        if _OF_SIZES.search(text):
            called -= _ARITHMETIC | _IN_TRAINING
        # What torch.softmax is in TorchScript, and the one that is the output.
        if output == "softmax" and (text.startswith("def softmax(") or root in text):
            called -= {"softmax"}
        found |= called
    return frozenset(found), output


def _plain_self(text: str) -> str:
    """A function with its first argument called self, whatever it was called."""
    return re.sub(r"^([ \t]*def \w+\()\w+:", r"\1self:", text)


def _output_of(function: str) -> str | None:
    """One of `_OUTPUTS`, where a function returns that of something, once."""
    names: dict[str, str] = dict(re.findall(r"^ *(\w+) = (.*)$", function, re.MULTILINE))
    returned: list[str] = re.findall(r"^ *return (.*)$", function, re.MULTILINE)
    last = returned[-1] if returned else ""
    called = names.get(last, last).partition("(")[0]
    name = names.get(called, called).rpartition(".")[2]
    return name if name in _OUTPUTS and function.count(f".{name}") == 1 else None


def require_operators(
    metadata: Mapping[str, Any], activation: str, head: Sequence[str], *, normalises: bool, path: Path
) -> tuple[str, ...]:
    """Refuse a TorchScript that computes something else than a network with `activation` and this head.

    `normalises` says that the module's own normalization of images was read from its tensors.

    Returns:
        Sentences on what is left out.

    Raises:
        InputError: naming classes or operators.
    """
    computes = metadata.get(COMPUTES_KEY)
    if not isinstance(computes, Computes):
        return ()
    kinds = {activation, *map(kind_of_step, head)}
    # SiLU and the gates' Sigmoid are in every network or in none.
    classes = set().union(*(names for kind, names in _CLASSES.items() if kind not in {"swish", "silu", *kinds}))
    classes -= set().union(*(_CLASSES.get(kind, ()) for kind in kinds))
    allowed = _OPERATORS.union(*(_OPERATORS_OF.get(kind, (kind,)) for kind in kinds))
    allowed |= _NORMALISING if normalises else frozenset()
    others = sorted(computes.classes & classes) or sorted(computes.operators - allowed)
    if others:
        raise InputError(
            f"{path}: a TorchScript with {listed_names(others)}, which this variant has not: its weights alone would "
            "compute something else; where they do not, save them: import torch; model = torch.jit.load(PATH); "
            f"{SAVE}."
        )
    if computes.output is None:
        return ()
    return (f"The TorchScript ends in a {computes.output}, which was left out; --output {computes.output} adds it.",)


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
