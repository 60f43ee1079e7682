"""Read a .pte without running it: header, flatbuffer, segments. A broken file is a sentence, never a crash.

The format is executorch's `schema/program.fbs` behind an extended header (`exir/_serialize/_program.py`); a .bpte wraps
one. Everything is read in Python, where a wild offset raises instead of ending the process, and a budget ends
files whose tables point at each other without end.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_effnet.errors import InputError
from quant.quiet import quiet_libraries

with quiet_libraries():
    from executorch.exir._serialize.generated.executorch_flatbuffer.Program import Program
    from executorch.exir.schema import ScalarType

_BUDGET = 2_000_000
"""Flatbuffer elements read of one file; B8 has some 20,000."""

_MAX_BYTES = 4 * 1024**3

# What the reader raises on bytes that are no flatbuffer, or a cut or overwritten one.
_BROKEN = (struct.error, IndexError, ValueError, TypeError, KeyError, OverflowError, AttributeError, RecursionError)

_TENSOR, _KERNEL_CALL, _DELEGATE_CALL = 5, 1, 2
"""Union tags: KernelTypes.Tensor, InstructionArguments.KernelCall and .DelegateCall."""


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
    data: bytes
    """What the backend reads."""
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
    delegate_calls: int
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
    segments: tuple[int, ...]
    """Bytes of each."""
    named_data: tuple[tuple[str, int], ...]
    """Keys that delegates look constants up by, and their bytes."""


def read_pte(path: Path) -> PteFile:
    """Read a .pte file.

    Raises:
        InputError: not there, not a .pte, or a broken one; the message says what is wrong.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file.")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: {path.stat().st_size} bytes are more than a .pte for a phone has.")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse_pte(data, str(path))


def parse_pte(data: bytes, name: str = "the program") -> PteFile:
    """`read_pte` for bytes.

    Raises:
        InputError: not a .pte, or a broken one.
    """
    if data[4:8] == b"BP08":
        raise InputError(f"{name}: a bundled program (.bpte); inspect the .pte beside it.")
    if len(data) < 8 or data[4:6] != b"ET":
        raise InputError(f"{name}: not an ExecuTorch program: {data[4:8]!r} stands where ET12 should.")
    try:
        return _Reader(data, name).read()
    except _BROKEN as error:
        raise InputError(
            f"{name}: a broken ExecuTorch program ({type(error).__name__}: {error}); it was cut or overwritten: "
            "make or copy it again."
        ) from error


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self._left = _BUDGET
        self._base = 0
        self._program: Any = Program.GetRootAs(data, 0)

    def read(self) -> PteFile:
        if self.data[8:12] == b"eh00":
            size, self._base = struct.unpack_from("<QQ", self.data, 16)
            if max(size, self._base) > len(self.data):
                raise ValueError(f"its header speaks of {max(size, self._base)} bytes, the file has {len(self.data)}")
        segments = tuple(
            (segment.Offset(), segment.Size())
            for segment in self._vector(self._program.SegmentsLength, self._program.Segments)
        )
        self._segments = segments
        for offset, size in segments:
            if self._base + offset + size > len(self.data):
                raise ValueError(f"a segment ends at {self._base + offset + size}, the file at {len(self.data)}")
        plans = self._vector(self._program.ExecutionPlanLength, self._program.ExecutionPlan)
        methods = tuple(self._method(plan) for plan in plans)
        if not methods:
            raise ValueError("no method in it")
        named = self._vector(self._program.NamedDataLength, self._program.NamedData)
        return PteFile(
            path=self.name,
            size_bytes=len(self.data),
            sha256=hashlib.sha256(self.data).hexdigest(),
            version=self._program.Version(),
            magic=self.data[4:8].decode("ascii"),
            methods=methods,
            segments=tuple(size for _, size in segments),
            named_data=tuple((_text(item.Key()), segments[item.SegmentIndex()][1]) for item in named),
        )

    def _method(self, plan: Any) -> PteMethod:
        values = list(self._vector(plan.ValuesLength, plan.Values))
        operators = [_operator(item) for item in self._vector(plan.OperatorsLength, plan.Operators)]
        calls = [0] * len(operators)
        delegate_calls = 0
        for chain in self._vector(plan.ChainsLength, plan.Chains):
            for instruction in self._vector(chain.InstructionsLength, chain.Instructions):
                kind = instruction.InstrArgsType()
                if kind == _KERNEL_CALL:
                    calls[self._kernel(instruction)] += 1
                delegate_calls += kind == _DELEGATE_CALL
        tensors = {i: self._tensor(value) for i, value in enumerate(values) if value.ValType() == _TENSOR}
        ends = {
            key: [getattr(plan, key)(i) for i in self._count(getattr(plan, f"{key}Length")())]
            for key in ("Inputs", "Outputs")
        }
        counted: dict[str, int] = {}
        for operator, count in zip(operators, calls, strict=True):
            counted[operator] = counted.get(operator, 0) + count
        return PteMethod(
            name=_text(plan.Name()),
            inputs=tuple(tensors[i] for i in ends["Inputs"] if i in tensors),
            outputs=tuple(tensors[i] for i in ends["Outputs"] if i in tensors),
            constants=tuple(tensor for tensor in tensors.values() if tensor.constant_bytes),
            delegates=tuple(self._delegate(d) for d in self._vector(plan.DelegatesLength, plan.Delegates)),
            operators=tuple(sorted(counted.items(), key=lambda item: -item[1])),
            delegate_calls=delegate_calls,
            planned_bytes=sum(
                plan.NonConstBufferSizes(i) for i in self._count(plan.NonConstBufferSizesLength())
            ),
        )

    def _kernel(self, instruction: Any) -> int:
        from executorch.exir._serialize.generated.executorch_flatbuffer.KernelCall import KernelCall  # noqa: PLC0415

        call, table = KernelCall(), instruction.InstrArgs()
        call.Init(table.Bytes, table.Pos)
        return int(call.OpIndex())

    def _tensor(self, value: Any) -> PteTensor:
        from executorch.exir._serialize.generated.executorch_flatbuffer.Tensor import Tensor  # noqa: PLC0415

        tensor, table = Tensor(), value.Val()
        tensor.Init(table.Bytes, table.Pos)
        shape = tuple(int(tensor.Sizes(i)) for i in self._count(tensor.SizesLength()))
        if any(side < 0 for side in shape):
            raise ValueError(f"a tensor of shape {shape}")
        dtype = ScalarType(tensor.ScalarType()).name
        constant = tensor.DataBufferIdx() > 0 and tensor.AllocationInfo() is None
        return PteTensor(
            dtype=dtype.lower(),
            shape=shape,
            dim_order=tuple(int(tensor.DimOrder(i)) for i in self._count(tensor.DimOrderLength())),
            constant_bytes=math.prod(shape) * _ITEM_BYTES.get(dtype, 4) if constant else 0,
        )

    def _delegate(self, delegate: Any) -> PteDelegate:
        where = delegate.Processed()
        if where.Location() == 1:  # a segment
            offset, size = self._segments[where.Index()]
            data = self.data[self._base + offset : self._base + offset + size]
        else:
            inline = self._program.BackendDelegateData(where.Index())
            data = b"" if inline.DataLength() == 0 else bytes(inline.DataAsNumpy())
        specs = self._vector(delegate.CompileSpecsLength, delegate.CompileSpecs)
        return PteDelegate(
            backend=_text(delegate.Id()),
            data=data,
            specs={
                _text(spec.Key()): bytes(spec.Value(i) for i in self._count(spec.ValueLength())) for spec in specs
            },
        )

    def _vector(self, length: Callable[[], int], item: Callable[[int], Any]) -> Iterator[Any]:
        for index in self._count(length()):
            found = item(index)
            if found is None:
                raise ValueError(f"an element that is not there, {index}")
            yield found

    def _count(self, length: int) -> range:
        self._left -= length
        if length < 0 or self._left < 0:
            raise ValueError("more elements than a program has")
        return range(length)


_ITEM_BYTES = {"BYTE": 1, "CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 8, "HALF": 2, "FLOAT": 4, "DOUBLE": 8, "BOOL": 1}


def _text(raw: bytes | None) -> str:
    return "" if raw is None else raw.decode("utf-8", errors="replace")


def _operator(operator: Any) -> str:
    name, overload = _text(operator.Name()), _text(operator.Overload())
    return f"{name}.{overload}" if overload else name
