"""Post-training quantization: ranges from images, PT2E (torchao) conversion, reconstruction."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from quant.common.progress import Progress
from quant.common.quiet import quiet_libraries
from quant.data.batches import first_images
from quant.graph.fallback_units import convolution_units, nodes_of
from quant.graph.memory import give_back_freed_memory, images_that_fit
from quant.graph.qdq import QMAX, QMIN, WEIGHTED, TensorScale
from quant.ptq.channel_groups import groupable, split_channels
from quant.ptq.equalize import equalizable, equalize
from quant.ptq.quantizers import ActivationSpec, EfficientNetQuantizer, activations_of
from quant.ptq.ranges import ActivationRange, find_ranges
from quant.ptq.reconstruct import reconstruct
from quant.recipes import Recipe
from quant.thresholds import ACTIVATION_SCALE_FLOOR, EQUALIZATION, WEIGHT_SCALE_FLOOR

with quiet_libraries():
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec

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


Placement = Callable[..., Any]
"""Makes a quantizer of `activation`, `weight` and `float_nodes`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantized:
    """A quantized network beside the float one that it was made from."""

    reference: fx.GraphModule
    """The float graph, equalized where the recipe says so."""
    converted: fx.GraphModule
    """With int8 weights and q/dq pairs: what a backend lowers."""
    unrounded: dict[str, torch.Tensor]
    """By reconstructed layer, what its int8 weights were rounded from, in their steps."""


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
        inputs: calibration images in batches, each [n, C, H, W] float32.
        recipe: how.
        seed: of everything random.
        progress: told of the stages.

    Returns:
        A graph with int8 weights and q/dq pairs: the reference that a backend lowers.
    """
    return quantize_beside(graph_module, inputs, recipe, seed=seed, progress=progress).converted


def quantize_beside(
    graph_module: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress,
) -> Quantized:
    """`quantize_graph`, with the float graph that it was fitted to."""
    reference = equalized_graph(graph_module, inputs, recipe, seed=seed)
    floats = nodes_of(convolution_units(reference)[: recipe.float_convolutions])
    activation = activation_specs(reference, inputs, recipe, float_nodes=floats, seed=seed, progress=progress)
    return quantize_with(reference, activation, floats, inputs, recipe, progress)


def equalized_graph(
    graph_module: fx.GraphModule, inputs: Sequence[torch.Tensor], recipe: Recipe, *, seed: int
) -> fx.GraphModule:
    """Return the float graph with the recipe's channel groups and equalization; arguments as `quantize_graph`."""
    if recipe.grouped:
        # What stays in float needs no scales of its own.
        in_float = nodes_of(convolution_units(graph_module)[: recipe.float_convolutions])
        graph_module = split_channels(
            graph_module,
            [name for name in groupable(graph_module) if name not in in_float],
            first_images(inputs, EQUALIZATION),
            seed=seed,
            plain_share=recipe.plain_share,
            most=recipe.grouped,
        )
    in_float = nodes_of(convolution_units(graph_module)[: recipe.float_convolutions])
    names = [name for name in equalizable(graph_module)[: recipe.equalized] if name not in in_float]
    if not names:
        return graph_module
    return equalize(
        graph_module, names, first_images(inputs, EQUALIZATION), seed=seed, plain_share=recipe.plain_share
    )


def activation_specs(
    graph_module: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    recipe: Recipe,
    *,
    float_nodes: frozenset[str] = frozenset(),
    seed: int,
    progress: Progress,
) -> ActivationSpec:
    """Ranges of every activation but those that stay in float; arguments as `quantize_with`."""
    if recipe.ranges != "loss-aware":
        return _observer_spec(recipe.ranges)
    names = activations_of(graph_module, float_nodes)
    with progress.stage("Ranges", sum(len(batch) for batch in inputs)) as advance:
        ranges = find_ranges(graph_module, names, inputs, seed=seed, plain_share=recipe.plain_share, advance=advance)
    return fixed_specs(ranges)


def quantize_with(
    graph_module: fx.GraphModule,
    activation: ActivationSpec,
    float_nodes: frozenset[str],
    inputs: Sequence[torch.Tensor],
    recipe: Recipe,
    progress: Progress,
) -> Quantized:
    """Convert and reconstruct with given specs and float nodes; other arguments as `quantize_graph`."""
    if recipe.ranges == "loss-aware":
        # All scales of activations are given: one image runs the weights' observers.
        converted = convert(graph_module, activation, float_nodes, first_images(inputs, 1))
    else:
        with progress.stage("Calibrating", sum(len(batch) for batch in inputs)) as advance:
            converted = convert(graph_module, activation, float_nodes, inputs, advance)
    give_back_freed_memory()
    unrounded: dict[str, torch.Tensor] = {}
    if recipe.reconstruct:
        layers = sum(node.target in WEIGHTED for node in graph_module.graph.nodes)
        with progress.stage("Reconstructing", layers) as advance:
            unrounded = reconstruct(graph_module, converted, images_that_fit(graph_module, inputs), advance)
    return Quantized(reference=graph_module, converted=converted, unrounded=unrounded)


def convert(
    graph_module: fx.GraphModule,
    activation: ActivationSpec,
    float_nodes: frozenset[str],
    inputs: Sequence[torch.Tensor],
    advance: Callable[[int], None] = lambda images: None,
    placement: Placement = EfficientNetQuantizer,
) -> fx.GraphModule:
    """PT2E's prepare, calibrate and convert with the EfficientNet-aware quantizer.

    Args:
        graph_module: left untouched.
        activation: spec of each activation.
        float_nodes: nodes that stay in float.
        inputs: what the observers see; weights are observed too, so it needs at least one batch.
        advance: told of the images seen.
        placement: of `quant.ptq.quantizers.PLACEMENTS`.
    """
    quantizer = placement(activation=activation, weight=_WEIGHT_SPEC, float_nodes=float_nodes)
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
