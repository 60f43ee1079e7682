"""Just enough of flatbuffers to read a file that may be broken: every offset is checked, nothing is trusted.

Executorch 1.4.1's generated accessors cannot be used: its package shadows their classes by modules of the same name
(`Program.Segments` calls a module); the other way in, `deserialize_pte_binary`, copies the whole file several times.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Of a tensor; XNNPACK allows 6, ExecuTorch's kernels 16.
_MAX_RANK = 16


class BrokenTableError(ValueError):
    """Bytes that are no flatbuffer."""


@dataclass(slots=True)
class Budget:
    """Elements that may still be read: tables that point at each other, or many at the same one, use it up."""

    left: int = 2_000_000

    def spend(self, count: int) -> None:
        """Take `count` elements.

        Raises:
            BrokenTableError: none are left.
        """
        self.left -= count
        if count < 0 or self.left < 0:
            raise BrokenTableError("more elements than a program has")


@dataclass(frozen=True, slots=True)
class FlatTable:
    """A table at `position`; fields by their number in the schema (a union takes two: its tag, then its table)."""

    data: memoryview
    position: int
    budget: Budget

    @staticmethod
    def root(data: bytes | memoryview, budget: Budget | None = None) -> FlatTable:
        """The table that the file's first four bytes point at; `budget` is shared with what was read before."""
        view = memoryview(data)
        return FlatTable(view, int(_unpack("<I", view, 0)), budget or Budget())

    def number(self, field: int, code: str) -> int:
        """A scalar; `code` as in `struct`."""
        where = self._where(field)
        return 0 if where is None else int(_unpack(f"<{code}", self.data, where))

    def real(self, field: int) -> float:
        """A float32."""
        where = self._where(field)
        return 0.0 if where is None else float(_unpack("<f", self.data, where))

    def table(self, field: int) -> FlatTable | None:
        """A table; None where the field was left out."""
        where = self._where(field)
        return None if where is None else self._at(where)

    def text(self, field: int) -> str:
        """A string; empty where the field was left out."""
        return self.raw(field).decode("utf-8", errors="replace")

    def raw(self, field: int) -> bytes:
        """A short vector of bytes or a string."""
        view = self.view(field)
        self.budget.spend(len(view))
        return bytes(view)

    def view(self, field: int) -> memoryview:
        """A vector of bytes that may be most of the file: many tables can point at the same one, so it is no copy."""
        start, count = self._vector(field)
        if start + count > len(self.data):
            raise BrokenTableError(f"a vector ends at {start + count}, the file at {len(self.data)}")
        return self.data[start : start + count]

    def shape(self, field: int, code: str) -> tuple[int, ...]:
        """A vector with the sides of a tensor."""
        _, rank = self._vector(field)
        if rank > _MAX_RANK:
            raise BrokenTableError(f"a tensor of {rank} dimensions")
        return self.numbers(field, code)

    def numbers(self, field: int, code: str) -> tuple[int, ...]:
        """A vector of scalars."""
        start, count = self._vector(field)
        self.budget.spend(count)
        size = struct.calcsize(f"<{code}")
        return tuple(_unpack(f"<{code}", self.data, start + i * size) for i in range(count))

    def tables(self, field: int) -> list[FlatTable]:
        """A vector of tables."""
        start, count = self._vector(field)
        self.budget.spend(count)
        return [self._at(start + 4 * i) for i in range(count)]

    def map(self, field: int, function: Callable[[FlatTable], Any]) -> tuple[Any, ...]:
        """A vector of tables, each through `function`."""
        return tuple(function(table) for table in self.tables(field))

    def _at(self, where: int) -> FlatTable:
        return FlatTable(self.data, where + int(_unpack("<I", self.data, where)), self.budget)

    def _vector(self, field: int) -> tuple[int, int]:
        where = self._where(field)
        if where is None:
            return 0, 0
        start = where + int(_unpack("<I", self.data, where))
        return start + 4, int(_unpack("<I", self.data, start))

    def _where(self, field: int) -> int | None:
        self.budget.spend(1)
        vtable = self.position - int(_unpack("<i", self.data, self.position))
        slot = 4 + 2 * field
        if slot >= _unpack("<H", self.data, vtable):
            return None
        offset = int(_unpack("<H", self.data, vtable + slot))
        return self.position + offset if offset else None


def _unpack(code: str, data: memoryview, where: int) -> Any:
    if where < 0 or where + struct.calcsize(code) > len(data):
        raise BrokenTableError(f"an offset of {where} in a file of {len(data)} bytes")
    return struct.unpack_from(code, data, where)[0]
