"""Read the Core ML program back out of a .pte and prove that it is the one asked for: structure, precision, I/O.

Only an Apple machine runs it; what can be known without one is what its mlprogram says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quant.lower.backend import Source
from quant.lower.coreml_payload import model_of
from quant.pte_file import parse_pte

BACKEND_NAME = "CoreMLBackend"

_SPECIFICATION = {17: 8, 18: 9}
"""Version of the model format that an iOS release reads."""

_WEIGHTED = ("conv", "linear")


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


class CoremlMismatchError(ValueError):
    """The mlprogram inside a .pte is not the one asked for."""


def read_back(data: bytes, source: Source) -> tuple[str, ...]:
    """Check the mlprogram inside a .pte, and say what it is.

    Raises:
        CoremlMismatchError: it is not what `source` asked for.
    """
    delegates = [d for method in parse_pte(data).methods for d in method.delegates if d.backend == BACKEND_NAME]
    if len(delegates) != 1:
        raise CoremlMismatchError(f"{len(delegates)} Core ML delegates in the program; one was to hold all of it.")
    program = read_mlprogram(bytes(delegates[0].data))
    ((output, _),) = program.outputs.values() if len(program.outputs) == 1 else [("no single", ())]
    layers = sum(program.computed_in.values())
    wanted = "FLOAT32" if source.precision == "fp32" else "FLOAT16"
    quantizes = program.operators.get("quantize", 0)
    faults = {
        f"specification {program.specification} for iOS {source.options.ios}": (
            program.specification != _SPECIFICATION[source.options.ios]
        ),
        f"inputs {dict(program.inputs)}": list(program.inputs.values()) != [("FLOAT32", source.input_shape)],
        f"{len(program.outputs)} outputs": len(program.outputs) != 1,
        f"layers computed in {dict(program.computed_in)}, {wanted} wanted": set(program.computed_in) != {wanted},
        f"{quantizes} quantize operators": (quantizes > 0) != (source.precision == "int8"),
        f"{program.int8_weights} of {layers} layers with int8 weights": (
            (program.int8_weights > 0) != source.precision.startswith("int8")
        ),
    }
    found = [fault for fault, wrong in faults.items() if wrong]
    if found:
        raise CoremlMismatchError(f"the mlprogram for coreml:{source.precision} has {'; '.join(found)}.")
    return (
        f"read back: {layers} layers in {wanted.lower()}, {program.int8_weights} of them with int8 weights, "
        f"{quantizes} int8 activations, float32 input, {output.lower()} output, specification "
        f"{program.specification} (iOS {source.options.ios})",
    )


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
    layers = [operation for operation in operations if operation.type in _WEIGHTED]
    weights = [layer.inputs["weight"].arguments[0].name for layer in layers]
    return MlProgram(
        specification=model.specificationVersion,
        inputs=_features(model.description.input),
        outputs=_features(model.description.output),
        operators=Counter(operation.type for operation in operations if operation.type != "const"),
        computed_in=Counter(type_of[layer.outputs[0].name] for layer in layers),
        int8_weights=sum(made_by.get(name, "").startswith("constexpr_") for name in weights),
    )


def _features(features: Any) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        feature.name: (
            feature.type.multiArrayType.ArrayDataType.Name(feature.type.multiArrayType.dataType),
            tuple(feature.type.multiArrayType.shape),
        )
        for feature in features
    }
