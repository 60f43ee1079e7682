"""Programs written field by field, as no exporter writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flatbuffers  # type: ignore[import-untyped]


class _Writer:
    """Tables and vectors of a flatbuffer."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def table(self, **fields: tuple[str, int]) -> int:
        """Write a table; `f2=("UOffsetTRelative", where)` is its third field."""
        self.builder.StartObject(10)
        for name, (kind, value) in fields.items():
            getattr(self.builder, f"Prepend{kind}Slot")(int(name[1:]), value, 0)
        return int(self.builder.EndObject())

    def vector(self, items: Sequence[int], prepend: Callable[[int], None] | None = None) -> tuple[str, int]:
        """Write a vector of tables, or of what `prepend` writes."""
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            (prepend or self.builder.PrependUOffsetTRelative)(item)
        return _at(self.builder.EndVector())

    def text(self, text: str) -> tuple[str, int]:
        """Write a string."""
        return _at(self.builder.CreateString(text))


def _at(where: int) -> tuple[str, int]:
    return ("UOffsetTRelative", where)


def flat_program(
    *, delegates: int = 0, payload: bytes = b"", backend: str = "XnnpackBackend", shape: Sequence[int] = ()
) -> bytes:
    """Return a .pte with one method.

    Args:
        delegates: how many point at the payload.
        payload: of each of them, once in the file.
        backend: of each of them.
        shape: of a constant tensor of float32 that has no data in the file.
    """
    writer = _Writer()
    blob = _at(writer.builder.CreateByteVector(payload))
    inline = [writer.table(f0=blob)]
    where = _at(writer.table(f1=("Uint32", 0)))
    delegate = writer.table(f0=writer.text(backend), f1=where)
    values = []
    if shape:
        sizes = writer.vector(shape, writer.builder.PrependInt32)
        tensor = writer.table(f0=("Int8", 6), f2=sizes, f5=("Uint32", 1))
        values = [writer.table(f0=("Uint8", 5), f1=_at(tensor))]
    plan = writer.table(f0=writer.text("forward"), f2=writer.vector(values), f7=writer.vector([delegate] * delegates))
    root = writer.table(f1=writer.vector([plan]), f3=writer.vector(inline))
    writer.builder.Finish(root, file_identifier=b"ET12")
    return bytes(writer.builder.Output())
