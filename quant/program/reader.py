"""Read a .pte without running it: header, flatbuffer, segments. A broken file is a sentence, never a crash.

The format is executorch's `schema/program.fbs` behind an extended header (`exir/_serialize/_program.py`); a
.bpte wraps one. Field numbers below count the fields of that schema's tables.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_effnet.errors import InputError
from edge_effnet.io.files import open_given
from quant.program.flatbuffer import BrokenTableError, FlatTable

Item = TypeVar("Item")

# Of L2 in float32, the largest that we make, 1.9 GB; a phone loads less.
_MAX_BYTES = 2 * 1024**3

# Union tags: KernelTypes.Tensor, InstructionArguments.KernelCall, DataLocation.SEGMENT.
_TENSOR, _KERNEL_CALL, _SEGMENT = 5, 1, 1

# TensorDataLocation.EXTERNAL: in a file of its own.
_EXTERNAL = 1

# Of schema/scalar_type.fbs: name and bytes an element.
_SCALARS = {
    0: ("uint8", 1),
    1: ("int8", 1),
    2: ("int16", 2),
    3: ("int32", 4),
    4: ("int64", 8),
    5: ("float16", 2),
    6: ("float32", 4),
    7: ("float64", 8),
    11: ("bool", 1),
    15: ("bfloat16", 2),
    27: ("uint16", 2),
    28: ("uint32", 4),
    29: ("uint64", 8),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PteTensor:
    """A tensor of a method."""

    dtype: str
    shape: tuple[int, ...]
    dim_order: tuple[int, ...]
    constant_bytes: int
    """Stored in the file for it; 0 for inputs, outputs and what lies between."""

    @property
    def layout(self) -> str:
        """How it lies in memory."""
        if self.dim_order == tuple(range(len(self.shape))):
            return "contiguous"
        return "channels last" if self.dim_order == (0, 2, 3, 1) else f"dim order {list(self.dim_order)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PteDelegate:
    """One delegate of a method."""

    backend: str
    data: memoryview
    """What the backend reads; several delegates may share it."""
    specs: dict[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class PteMethod:
    """One method."""

    name: str
    inputs: tuple[PteTensor, ...]
    outputs: tuple[PteTensor, ...]
    constants: tuple[PteTensor, ...]
    """Tensors that portable kernels read from the file."""
    delegates: tuple[PteDelegate, ...]
    operators: tuple[tuple[str, int], ...]
    """Portable operators and how often the method calls each."""
    planned_bytes: int
    """Memory that the runtime sets aside for activations outside delegates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PteFile:
    """What a .pte says."""

    path: str
    size_bytes: int
    sha256: str
    version: int
    """Of the program schema."""
    magic: str
    """File identifier, such as ET12."""
    methods: tuple[PteMethod, ...]
    named_data: tuple[tuple[str, int], ...]
    """Keys that delegates look constants up by, and their bytes."""


def read_pte(path: Path) -> PteFile:
    """Read a .pte file.

    Raises:
        InputError: not there, not a .pte, or a broken one; the message says what is wrong.
    """
    with open_given(path, limit=_MAX_BYTES) as file:
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
            # Mapped, not read: most of it are weights, which nobody looks at.
            data = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
        except (OSError, ValueError) as error:  # a ValueError where it shrank meanwhile
            raise InputError(f"{path}: cannot be read ({error}); make or copy it again.") from error
    return _parsed(memoryview(data), str(path), digest)


def parse_pte(data: bytes, name: str = "the program") -> PteFile:
    """`read_pte` for bytes.

    Raises:
        InputError: not a .pte, or a broken one.
    """
    return _parsed(memoryview(data), name, hashlib.sha256(data).hexdigest())


def _parsed(data: memoryview, name: str, digest: str) -> PteFile:
    magic = bytes(data[4:8])
    if magic == b"BP08":
        raise InputError(f"{name}: a bundled program (.bpte); inspect the .pte beside it.")
    if not magic.startswith(b"ET"):
        raise InputError(f"{name}: not an ExecuTorch program; give a .pte file.")
    try:
        return _Reader(data, name, digest).read()
    except (BrokenTableError, struct.error) as error:
        raise InputError(
            f"{name}: a broken ExecuTorch program ({error}); it was cut or overwritten: make or copy it again."
        ) from error


class _Reader:
    def __init__(self, data: memoryview, name: str, digest: str) -> None:
        self.data, self.name, self.digest = data, name, digest
        self._base = 0
        self._segments: tuple[tuple[int, int], ...] = ()
        self._inline: list[FlatTable] = []

    def read(self) -> PteFile:
        if bytes(self.data[8:12]) == b"eh00":
            size, self._base = struct.unpack_from("<QQ", self.data, 16)
            if max(size, self._base) > len(self.data):
                raise BrokenTableError(
                    f"its header speaks of {max(size, self._base)} bytes, the file has {len(self.data)}"
                )
        program = FlatTable.root(self.data)
        self._segments = program.map(4, lambda segment: (segment.number(0, "Q"), segment.number(1, "Q")))
        for offset, size in self._segments:
            if self._base + offset + size > len(self.data):
                raise BrokenTableError(
                    f"a segment ends at {self._base + offset + size}, the file at {len(self.data)}"
                )
        self._inline = program.tables(3)
        methods = program.map(1, self._method)
        if not methods:
            raise BrokenTableError("no method in it")
        return PteFile(
            path=self.name,
            size_bytes=len(self.data),
            sha256=self.digest,
            version=program.number(0, "I"),
            magic=bytes(self.data[4:8]).decode("ascii", errors="replace"),
            methods=methods,
            named_data=program.map(7, lambda item: (item.text(0), self._segment(item.number(1, "I"))[1])),
        )

    def _method(self, plan: FlatTable) -> PteMethod:
        operators = plan.map(6, lambda item: f"{item.text(0)}.{item.text(1)}".rstrip("."))
        counted = dict.fromkeys(operators, 0)
        for chain in plan.tables(5):
            for instruction in chain.tables(2):
                kind, call = instruction.number(0, "B"), instruction.table(1)
                if kind == _KERNEL_CALL and call is not None:
                    counted[_item(operators, call.number(0, "i"))] += 1
        values = [(value.number(0, "B"), value.table(1)) for value in plan.tables(2)]
        tensors = {i: self._tensor(v) for i, (kind, v) in enumerate(values) if kind == _TENSOR and v is not None}
        return PteMethod(
            name=plan.text(0),
            inputs=tuple(tensors[i] for i in plan.numbers(3, "i") if i in tensors),
            outputs=tuple(tensors[i] for i in plan.numbers(4, "i") if i in tensors),
            constants=tuple(tensor for tensor in tensors.values() if tensor.constant_bytes),
            delegates=plan.map(7, self._delegate),
            operators=tuple(sorted(counted.items(), key=lambda item: -item[1])),
            planned_bytes=sum(plan.numbers(8, "q")),
        )

    def _tensor(self, tensor: FlatTable) -> PteTensor:
        shape = tensor.shape(2, "i")
        if any(side < 0 for side in shape):
            raise BrokenTableError(f"a tensor of shape {shape}")
        number = tensor.number(0, "b")
        dtype, size = _SCALARS.get(number, (f"scalar type {number}", 1))
        extra = tensor.table(9)
        here = extra is None or extra.number(2, "b") != _EXTERNAL
        constant = here and tensor.number(5, "I") > 0 and tensor.table(6) is None
        constant_bytes = math.prod(shape) * size if constant else 0
        if constant_bytes > len(self.data):
            raise BrokenTableError(f"a constant of {constant_bytes} bytes in a file of {len(self.data)}")
        return PteTensor(dtype=dtype, shape=shape, dim_order=tensor.shape(3, "B"), constant_bytes=constant_bytes)

    def _delegate(self, delegate: FlatTable) -> PteDelegate:
        where = delegate.table(1)
        data = memoryview(b"")
        if where is not None and where.number(0, "b") == _SEGMENT:
            offset, size = self._segment(where.number(1, "I"))
            data = self.data[self._base + offset : self._base + offset + size]
        elif where is not None:
            data = _item(self._inline, where.number(1, "I")).view(0)
        return PteDelegate(
            backend=delegate.text(0),
            data=data,
            specs=dict(delegate.map(2, lambda spec: (spec.text(0), spec.raw(1)))),
        )

    def _segment(self, index: int) -> tuple[int, int]:
        return _item(self._segments, index)


def _item(items: Sequence[Item], index: int) -> Item:
    if not 0 <= index < len(items):
        raise BrokenTableError(f"element {index} of {len(items)}")
    return items[index]
