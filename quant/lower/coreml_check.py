"""Read the Core ML program back out of a .pte and prove that it is the one asked for: structure, precision, I/O.

Only an Apple machine runs it; what can be known without one is what its mlprogram says.
"""

from __future__ import annotations

from quant.lower.backend import Source
from quant.program.coreml_payload import read_mlprogram
from quant.program.reader import parse_pte

BACKEND_NAME = "CoreMLBackend"


_SPECIFICATION = {17: 8, 18: 9}
"""Version of the model format that an iOS release reads."""


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
