"""Programs whose XNNPACK payloads are lists of layers: what `read_payload` would have read is written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from quant.program.flatbuffer import Budget
from quant.program.reader import PteDelegate, PteFile, PteMethod
from quant.program.xnnpack_payload import Payload, PayloadLayer


def layer(number: int, *, scale: tuple[float, int] | None = None, dead: bool = False) -> PayloadLayer:
    """A convolution, in float where it has no scale."""
    return PayloadLayer(
        name=f"convolution {number}",
        weight_shape=(8, 3, 3, 3),
        weight_dtype="float32" if scale is None else "qcint8",
        constant_bytes=216,
        weight_scales=0 if scale is None else 8,
        output_scale=scale,
        dead=dead,
    )


def program(*payloads: bytes, backend: str = "XnnpackBackend") -> PteFile:
    """A program with a delegate for each payload."""
    delegates = tuple(PteDelegate(backend=backend, data=memoryview(data), specs={}) for data in payloads)
    method = PteMethod(
        name="forward", inputs=(), outputs=(), constants=(), delegates=delegates, operators=(), planned_bytes=0
    )
    fields = {"size_bytes": 0, "sha256": "", "version": 0, "magic": "ET12", "named_data": {}}
    return PteFile(path="model.pte", methods=(method,), **fields)


def read_as(monkeypatch: pytest.MonkeyPatch, layers: Mapping[bytes, Sequence[PayloadLayer]]) -> None:
    """Have payloads read as these layers."""

    def read(data: memoryview, _budget: Budget) -> Payload:
        return Payload(operators=Counter(), layers=tuple(layers[bytes(data)]))

    monkeypatch.setattr("quant.checks.program_identity.read_payload", read)
