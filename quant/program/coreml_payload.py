"""Take the model out of a Core ML delegate's payload without writing any of it to the disk.

executorch's `inmemoryfs` lays the files of an mlpackage one after the other and puts a JSON table of them behind, its
bytes in reverse order. Its own reader writes them out under whatever names the table holds.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from quant.common.quiet import quiet_libraries

_MAX_TABLE_BYTES = 1024 * 1024


_SUFFIX = ".mlmodel"

WEIGHTED_OPERATORS = ("conv", "linear")


def model_of(payload: bytes) -> bytes:
    """Return the content of the one `.mlmodel` file.

    Raises:
        ValueError: no such payload, or not one such file in it.
    """
    text = payload[: -_MAX_TABLE_BYTES - 1 : -1].decode("utf-8", errors="replace")
    try:
        table, _ = json.JSONDecoder().raw_decode(text)
    except RecursionError as error:
        raise ValueError("a table nested too deeply") from error
    regions = [
        (region["offset"], region["size"])
        for node in table["nodes"]
        for name, region in [(str(node["name"]), node["dataRegion"])]
        if name.endswith(_SUFFIX)
    ]
    if len(regions) != 1:
        raise ValueError(f"{len(regions)} files that end in {_SUFFIX}, need one")
    offset, size = map(_whole, regions[0])
    if offset + size > len(payload):
        raise ValueError(f"a file ends at {offset + size}, the payload at {len(payload)}")
    return payload[offset : offset + size]


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no number of bytes")
    return value


@contextlib.contextmanager
def quiet_converter() -> Iterator[None]:
    """Silence coremltools: log lines about Apple libraries that Linux lacks, and progress bars on standard error."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    disabled = logging.root.manager.disable
    with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        # Its modules set levels of their own while they are imported.
        logging.disable(logging.ERROR)
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)
            logging.disable(disabled)


def read_mlprogram(payload: bytes) -> MlProgram:
    """Parse a Core ML delegate's payload: a folder with an mlpackage, flattened by executorch."""
    from coremltools.proto import MIL_pb2, Model_pb2  # noqa: PLC0415  (slow to import)

    model = Model_pb2.Model()
    model.ParseFromString(model_of(payload))
    function = next(iter(model.mlProgram.functions.values()))
    operations = function.block_specializations[function.opset].operations
    type_of = {
        out.name: MIL_pb2.DataType.Name(out.type.tensorType.dataType)
        for operation in operations
        for out in operation.outputs
    }
    made_by = {out.name: operation.type for operation in operations for out in operation.outputs}
    layers = [operation for operation in operations if operation.type in WEIGHTED_OPERATORS]
    weights = [layer.inputs["weight"].arguments[0].name for layer in layers]
    return MlProgram(
        specification=model.specificationVersion,
        inputs=_features(model.description.input),
        outputs=_features(model.description.output),
        operators=Counter(operation.type for operation in operations if operation.type != "const"),
        computed_in=Counter(type_of[layer.outputs[0].name] for layer in layers),
        int8_weights=sum(made_by.get(name, "").startswith("constexpr_") for name in weights),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class MlProgram:
    """What an mlprogram says of itself."""

    specification: int
    inputs: Mapping[str, tuple[str, tuple[int, ...]]]
    """Name -> type and shape."""
    outputs: Mapping[str, tuple[str, tuple[int, ...]]]
    operators: Mapping[str, int]
    """Type -> how often; constants not counted."""
    computed_in: Mapping[str, int]
    """Data type of what convolutions and linear layers give -> how often."""
    int8_weights: int
    """Layers whose weights are stored in int8."""


def _features(features: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        feature.name: (
            feature.type.multiArrayType.ArrayDataType.Name(feature.type.multiArrayType.dataType),
            tuple(feature.type.multiArrayType.shape),
        )
        for feature in features
    }
