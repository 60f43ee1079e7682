"""Core ML (Neural Engine, GPU and CPU of Apple's devices): one delegate; lowers anywhere, runs on Apple's.

What can be known without an Apple machine is what the mlprogram inside the .pte says: it is read back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from quant.graph.export import join_silu
from quant.lower.backend import Source
from quant.lower.partitioned import lower_partitioned
from quant.lower.result import LoweredProgram
from quant.program.coreml_payload import quiet_converter, read_mlprogram
from quant.program.reader import parse_pte

# Weights go to int8 after conversion, one scale an output channel.
_WEIGHTS_ONLY = {"mode": "linear_symmetric", "dtype": "int8", "granularity": "per_channel"}

_SPECIFICATION = {17: 8, 18: 9}
"""Version of the model format that an iOS release reads."""


class CoremlMismatchError(ValueError):
    """The mlprogram inside a .pte is not the one asked for."""


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph, or one with q/dq pairs, and check the mlprogram that came out.

    Raises:
        ValueError: the program inside the .pte is not what was asked for.
    """
    with quiet_converter():
        # SiLU in one operator: Core ML has it, and the Neural Engine runs it inside the convolution.
        joined = replace(source, graph=join_silu(source.graph))
        program = lower_partitioned(
            joined, [_partitioner(source)], lambda node: "coremltools has no translation of it"
        )
        return replace(program, facts=read_back(program.data, source))


def _partitioner(source: Source) -> Any:
    import coremltools as ct  # noqa: PLC0415  (slow to import)
    from executorch.backends.apple.coreml.compiler import CoreMLBackend  # noqa: PLC0415
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner  # noqa: PLC0415

    options = source.options
    specs = CoreMLBackend.generate_compile_specs(
        compute_unit=ct.ComputeUnit[options.compute_units.upper()],
        minimum_deployment_target={17: ct.target.iOS17, 18: ct.target.iOS18}[options.ios],
        compute_precision=ct.precision.FLOAT32 if source.precision == "fp32" else ct.precision.FLOAT16,
        op_linear_quantizer_config=_WEIGHTS_ONLY if source.precision == "int8-weights" else None,
    )
    return CoreMLPartitioner(compile_specs=specs)


def read_back(data: bytes, source: Source) -> tuple[str, ...]:
    """Check the mlprogram inside a .pte, and say what it is.

    Raises:
        CoremlMismatchError: it is not what `source` asked for.
    """
    delegates = [d for method in parse_pte(data).methods for d in method.delegates if d.backend == "CoreMLBackend"]
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
