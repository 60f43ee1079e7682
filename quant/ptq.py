"""Post-training quantization: ranges from photographs, PT2E (torchao) conversion, repair."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from quant.memory import photographs_that_fit
from quant.progress import Progress
from quant.qdq import CLAMP_RANGES, QMAX, QMIN, WEIGHTED, TensorScale
from quant.quantizer import ActivationSpec, EfficientNetQuantizer, activations_of
from quant.quiet import quiet_libraries
from quant.ranges import ActivationRange, find_ranges
from quant.recipes import Recipe
from quant.repair import repair
from quant.tolerances import ACTIVATION_SCALE_FLOOR, WEIGHT_SCALE_FLOOR

with quiet_libraries():
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec

aten = torch.ops.aten

_OBSERVERS: dict[str, Any] = {"histogram": HistogramObserver, "minmax": MinMaxObserver}

_WEIGHT_SPEC = QuantizationSpec(
    dtype=torch.int8,
    # Symmetric: -128 has no positive twin, and XNNPACK's kernels assume it away.
    quant_min=QMIN + 1,
    quant_max=QMAX,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
    observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=WEIGHT_SCALE_FLOOR),
)


def quantize_graph(
    graph_module: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> fx.GraphModule:
    """Quantize an exported float graph.

    Args:
        graph_module: from `export_graph`; left untouched.
        inputs: calibration photographs in batches, each [n, C, H, W] float32.
        recipe: how.
        seed: of everything random.
        progress: told of the stages.

    Returns:
        A graph with int8 weights and q/dq pairs: the reference that a backend lowers.
    """
    floats = leading_layers(graph_module, recipe.float_convolutions)
    if recipe.ranges == "loss-aware":
        names = activations_of(graph_module, floats)
        with progress.stage("Ranges", 2 * sum(len(batch) for batch in inputs)) as advance:
            ranges = find_ranges(graph_module, names, inputs, seed=seed, advance=advance)
        converted = convert(graph_module, fixed_specs(ranges), floats, inputs[:1])
    else:
        with progress.stage("Calibrating", sum(len(batch) for batch in inputs)) as advance:
            converted = convert(graph_module, _observer_spec(recipe.ranges), floats, inputs, advance)
    if recipe.repair:
        layers = sum(node.target in WEIGHTED for node in graph_module.graph.nodes)
        with progress.stage("Repairing", layers) as advance:
            repair(graph_module, converted, photographs_that_fit(graph_module, inputs), advance)
    return converted


def convert(
    graph_module: fx.GraphModule,
    activation: ActivationSpec,
    float_nodes: frozenset[str],
    inputs: Sequence[torch.Tensor],
    advance: Callable[[int], None] = lambda photographs: None,
) -> fx.GraphModule:
    """PT2E's prepare, calibrate and convert with the EfficientNet-aware quantizer.

    Args:
        graph_module: left untouched.
        activation: spec of each activation.
        float_nodes: nodes that stay in float.
        inputs: what the observers see; weights are observed too, so it needs at least one batch.
        advance: told of the photographs seen.
    """
    quantizer = EfficientNetQuantizer(activation=activation, weight=_WEIGHT_SPEC, float_nodes=float_nodes)
    with quiet_libraries(), torch.no_grad():
        prepared = prepare_pt2e(copy.deepcopy(graph_module), quantizer)
        for batch in inputs:
            prepared(batch)
            advance(len(batch))
        converted = convert_pt2e(prepared)
    assert isinstance(converted, fx.GraphModule)
    return converted


def fixed_specs(ranges: dict[str, ActivationRange]) -> ActivationSpec:
    """Specs that give each activation the scale of its range."""
    scales = {name: activation_range.scale() for name, activation_range in ranges.items()}
    return lambda node: _fixed_spec(scales[node.name])


def leading_layers(graph_module: fx.GraphModule, count: int) -> frozenset[str]:
    """Names of the first `count` convolutions and of the activations behind them."""
    names: set[str] = set()
    convolutions = [node for node in graph_module.graph.nodes if node.target is aten.conv2d.default]
    for convolution in convolutions[:count]:
        names.add(convolution.name)
        for user in convolution.users:
            if user.target in _ACTIVATIONS:
                names.add(user.name)
    return frozenset(names)


_ACTIVATIONS = (
    *CLAMP_RANGES,
    aten.sigmoid.default,
    aten.mul.Tensor,
    aten.hardswish.default,
    aten.hardswish_.default,
)


def _observer_spec(method: str) -> ActivationSpec:
    spec = QuantizationSpec(
        dtype=torch.int8,
        quant_min=QMIN,
        quant_max=QMAX,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=_OBSERVERS[method].with_args(eps=ACTIVATION_SCALE_FLOOR),
    )
    return lambda node: spec


def _fixed_spec(scale: TensorScale) -> FixedQParamsQuantizationSpec:
    return FixedQParamsQuantizationSpec(
        dtype=torch.int8,
        scale=scale.scale,
        zero_point=scale.zero_point,
        quant_min=QMIN,
        quant_max=QMAX,
        qscheme=torch.per_tensor_affine,
    )
