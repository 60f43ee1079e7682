"""Core ML (Neural Engine, GPU and CPU of Apple's devices): one delegate; lowers anywhere, runs on Apple's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import fx

from quant.graph.export import join_silu
from quant.lower.backend import Source
from quant.lower.coreml_check import read_back
from quant.lower.partitioned import lower_partitioned
from quant.lower.result import LoweredProgram
from quant.program.coreml_payload import quiet_converter

# Weights go to int8 after conversion, one scale an output channel.
_WEIGHTS_ONLY = {"mode": "linear_symmetric", "dtype": "int8", "granularity": "per_channel"}


def lower(source: Source) -> LoweredProgram:
    """Lower a float graph, or one with q/dq pairs, and check the mlprogram that came out.

    Raises:
        ValueError: the program inside the .pte is not what was asked for.
    """
    with quiet_converter():
        # SiLU in one operator: Core ML has it, and the Neural Engine runs it inside the convolution.
        joined = replace(source, graph=join_silu(source.graph))
        program = lower_partitioned(joined, [_partitioner(source)], _reason)
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


def _reason(node: fx.Node) -> str:
    return "coremltools has no translation of it"
