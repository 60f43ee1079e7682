"""PT2E (torchao): a float graph and the specs of its activations -> a graph with int8 weights and q/dq pairs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import QMAX, QMAX16, QMIN, QMIN16, TensorScale
from quant.ptq.quantizers import PLACEMENTS, ActivationSpec, Placement
from quant.ptq.ranges import ActivationRange
from quant.thresholds import ACTIVATION_SCALE_FLOOR, WEIGHT_SCALE_FLOOR

with quiet_libraries():
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec

_OBSERVERS: dict[str, Any] = {"histogram": HistogramObserver, "minmax": MinMaxObserver}

_GRIDS: dict[int, dict[str, Any]] = {
    8: {"dtype": torch.int8, "quant_min": QMIN, "quant_max": QMAX},
    16: {"dtype": torch.int16, "quant_min": QMIN16, "quant_max": QMAX16},
}

_WEIGHT_SPEC = QuantizationSpec(
    dtype=torch.int8,
    # Symmetric: -128 has no positive twin, and XNNPACK's kernels assume it away.
    quant_min=QMIN + 1,
    quant_max=QMAX,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
    observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=WEIGHT_SCALE_FLOOR),
)


def convert(
    graph_module: fx.GraphModule,
    activation: ActivationSpec,
    float_nodes: frozenset[str],
    inputs: Sequence[torch.Tensor],
    advance: Callable[[int], None] = lambda images: None,
    placement: Placement = PLACEMENTS["xnnpack"],
) -> fx.GraphModule:
    """PT2E's prepare, calibrate and convert.

    Args:
        graph_module: float, from `export_graph`; left untouched.
        activation: spec of each activation.
        float_nodes: nodes that stay in float.
        inputs: what the observers see, in batches, each [n, C, H, W] float32; weights are observed too, so it needs
            at least one.
        advance: told of the images seen.
        placement: where q/dq pairs go.
    """
    quantizer = placement.quantizer(activation=activation, weight=_WEIGHT_SPEC, float_nodes=float_nodes)
    with quiet_libraries(), torch.no_grad():
        prepared = prepare_pt2e(copy.deepcopy(graph_module), quantizer)
        for batch in inputs:
            prepared(batch)
            advance(len(batch))
        converted = convert_pt2e(prepared)
    assert isinstance(converted, fx.GraphModule)
    return converted


def fixed_specs(ranges: dict[str, ActivationRange], bits: int = 8) -> ActivationSpec:
    """Specs that give each activation the scale of its range: with 16 bits, of all that was seen."""
    scales = {name: found.scale() if bits == 8 else found.scale16() for name, found in ranges.items()}
    return lambda node: _fixed_spec(scales[node.name], bits)


def observer_spec(method: str, bits: int = 8) -> ActivationSpec:
    """The spec that lets a stock observer find each activation's range: "histogram" or "minmax"."""
    spec = QuantizationSpec(
        **_GRIDS[bits],
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=_OBSERVERS[method].with_args(eps=ACTIVATION_SCALE_FLOOR * 2.0 ** (8 - bits)),
    )
    return lambda node: spec


def _fixed_spec(scale: TensorScale, bits: int) -> FixedQParamsQuantizationSpec:
    return FixedQParamsQuantizationSpec(
        **_GRIDS[bits], scale=scale.scale, zero_point=scale.zero_point, qscheme=torch.per_tensor_affine
    )
