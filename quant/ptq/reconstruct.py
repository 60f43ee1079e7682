"""Layer-wise least-squares reconstruction: each layer's weights refitted to what its quantized inputs really are.

From input to output, a float and an int8 stream of the calibration images walk side by side. Before a layer
runs in int8, its weights and bias are changed so that, on the int8 stream's inputs, it comes as close as it can to
the float stream's outputs. The error that layers before it made is thus reconstructed where it can be, not passed on.

A 1x1 convolution solves a ridge regression around its own weights; a depthwise or spatial one gets a gain and a
bias for each channel; the classifier a bias only, since there are far fewer images than its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx

from quant.graph.chunked_run import ChunkedRun, sampled
from quant.graph.qdq import (
    DEQUANTIZE,
    QMAX,
    WEIGHTED,
    constant_of,
    least_weight_scale,
    quantize_bias,
    tensor_scale,
    without_bias,
)
from quant.lower.xnnpack.arithmetic import requantization_scale
from quant.lower.xnnpack.simulator import Simulation, simulation_of
from quant.ptq.least_squares import NEAR, ChannelMoments, Moments, factor_of_taps, first_image, refit_weights, taps
from quant.thresholds import WEIGHT_SCALE_FLOOR

aten = torch.ops.aten

# Clipping tried for each output channel's weights.
_SHRINKS = tuple(1.0 - 0.02 * step for step in range(11))

# Columns of weights that are rounded between two matrix products.
_BLOCK = 64


@dataclass(slots=True)
class _Layer:
    """One int8 convolution or linear layer of the converted graph, with its tensors."""

    node: fx.Node
    weight: torch.Tensor
    """int8 values."""
    scales: torch.Tensor
    """float32 [out]."""
    bias: torch.Tensor
    """float32 [out]."""
    input_scale: float
    input_zero_point: int
    unrounded: torch.Tensor
    """What the weights were rounded from, in their steps: float32, like `weight`."""

    def real_weight(self) -> torch.Tensor:
        return self.weight.to(torch.float32) * _steps(self.scales, self.weight)

    def unrounded_weight(self) -> torch.Tensor:
        """What was rounded, in real units: before the layer is refitted, the float network's weights."""
        return self.unrounded * _steps(self.scales, self.weight)

    def is_pointwise(self) -> bool:
        kernel = self.weight.shape[2:]
        return self.node.target is aten.conv2d.default and tuple(kernel) == (1, 1) and self.weight.shape[1] > 1


def reconstruct(
    graph_module: fx.GraphModule,
    converted: fx.GraphModule,
    inputs: Sequence[torch.Tensor],
    advance: Callable[[int], None] = lambda layers: None,
    arithmetic: str = "xnnpack",
) -> dict[str, torch.Tensor]:
    """Refit the int8 layers of a converted graph, in place.

    Args:
        graph_module: the float graph that `converted` was made from.
        converted: from `convert_pt2e`.
        inputs: calibration images in chunks, each [n, C, H, W] float32.
        advance: told of each layer done.
        arithmetic: in which the int8 stream runs, a key of `ARITHMETICS`.

    Returns:
        By layer, the weights that its int8 ones were rounded from, in their steps: where training resumes from.
    """
    unrounded: dict[str, torch.Tensor] = {}
    simulation = simulation_of(converted, arithmetic)
    layers = {node.name: node for node in converted.graph.nodes if node.target in WEIGHTED}
    weighted = [node for node in graph_module.graph.nodes if node.name in layers]
    targets = ChunkedRun(graph_module, inputs, [node for node in weighted if node.name in simulation.operators])
    integers = ChunkedRun(simulation.module, inputs)
    with torch.no_grad():
        for node in weighted:
            counterpart = simulation.operators.get(node.name)
            if counterpart is not None:
                integers.advance_before(counterpart)
                layer = _layer(converted, layers[node.name], constant_of(graph_module, node.args[1]))
                source = counterpart.args[0]
                assert isinstance(source, fx.Node)
                _refit(layer, integers.chunks(source), targets.samples(node))
                _store(simulation, layer)
                unrounded[node.name] = layer.unrounded
            advance(1)
    return unrounded


def _layer(converted: fx.GraphModule, node: fx.Node, wanted: torch.Tensor) -> _Layer:
    source, weight = node.args[:2]
    assert isinstance(source, fx.Node) and source.target is DEQUANTIZE and isinstance(weight, fx.Node)
    scale, scales = tensor_scale(source), constant_of(converted, weight.args[1])
    return _Layer(
        node=node,
        weight=constant_of(converted, weight.args[0]),
        scales=scales,
        bias=constant_of(converted, node.args[2]),
        input_scale=scale.scale,
        input_zero_point=scale.zero_point,
        # Converted weights are rounded one by one: from these no rounding in view of the others could start.
        unrounded=wanted / _steps(scales, wanted),
    )


def _steps(scales: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """One scale for each output, beside its weights."""
    return scales.view(-1, *[1] * (weight.dim() - 1))


def _refit(layer: _Layer, sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
    """Change the layer's tensors in place: `sources` are int8 values, `targets` sampled float outputs, by chunk."""
    if layer.is_pointwise():
        _refit_pointwise(layer, sources, targets)
    else:
        _refit_channels(layer, sources, targets)


def _refit_pointwise(layer: _Layer, sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
    weight = layer.unrounded_weight().flatten(1).double()

    def read(chunk: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        source, target = chunk
        return (sampled(source) - layer.input_zero_point).mul_(layer.input_scale), target.to(torch.float32)

    moments = Moments().add(list(zip(sources, targets, strict=True)), read)
    # Those that carry most are rounded first: more of the others are left to make up for it.
    order = moments.variance.argsort(descending=True, stable=True)
    moments.reorder(order)
    weight, factor = refit_weights(weight[:, order], moments, NEAR)
    _choose_scales(layer, weight.float(), moments.variance.float())
    _round_with_feedback(layer, weight, factor, order)
    rounded = layer.real_weight().flatten(1)[:, order].double()
    layer.bias.copy_(moments.mean_target - rounded @ moments.mean_input)


def _refit_channels(layer: _Layer, sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> None:
    """Gain (spatial layers) and bias for each output channel."""
    weight = layer.unrounded_weight()
    moments = _channel_moments(layer, weight, sources, targets)
    if layer.node.target is aten.conv2d.default:
        _round_filters(layer, weight * moments.gain().float().view(-1, 1, 1, 1), sources)
        # Once more: what rounding does to the means, told from the windows that it looked at, costs 0.1 dB.
        moments = _channel_moments(layer, layer.real_weight(), sources, targets)
    output, target = moments.means
    layer.bias.copy_(target - output)


def _channel_moments(
    layer: _Layer, weight: torch.Tensor, sources: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]
) -> ChannelMoments:
    """Of the layer's outputs with these weights, before the bias, and their targets."""

    def read(chunk: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return sampled(_forward(layer, weight, chunk[0])), chunk[1].to(torch.float32)

    return ChannelMoments(*read(first_image(sources, targets))).add(list(zip(sources, targets, strict=True)), read)


def _forward(layer: _Layer, weight: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """The layer's output without bias, in real units."""
    real = source.to(torch.float32, copy=True).sub_(layer.input_zero_point).mul_(layer.input_scale)
    return without_bias(layer.node, real, weight)


def _round_filters(layer: _Layer, weight: torch.Tensor, sources: Sequence[torch.Tensor]) -> None:
    """Round a spatial filter's taps in view of each other: neighbours hold much the same, and errors cancel out."""
    kernel, flat = (weight.shape[2], weight.shape[3]), weight.flatten(1)
    images = sum(map(len, sources))
    factor = factor_of_taps(
        sources, lambda source: taps(layer.node, kernel, source, layer.input_zero_point, images=images)
    )
    _choose_scales(layer, flat, torch.ones(flat.shape[1]))
    _round_with_feedback(layer, flat.double(), factor)


def _choose_scales(layer: _Layer, weight: torch.Tensor, importance: torch.Tensor) -> None:
    """Give each output channel the weight scale whose clipping and rounding cost least output variance.

    Args:
        layer: gets the scales.
        weight: [out, in].
        importance: variance of each input, [in].
    """
    least = least_weight_scale(layer.bias, layer.input_scale).clamp_min(WEIGHT_SCALE_FLOOR)
    full = torch.maximum(weight.abs().amax(dim=1) / QMAX, least)
    best_error = torch.full_like(full, torch.inf)
    best_scale = full.clone()
    for shrink in _SHRINKS:
        scale = torch.maximum(full * shrink, least)
        error = ((_rounded(weight, scale) * scale[:, None] - weight).square() * importance).sum(dim=1)
        better = error < best_error
        best_error, best_scale = torch.where(better, error, best_error), torch.where(better, scale, best_scale)
    layer.scales.copy_(best_scale)


def _rounded(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (weight / scale[:, None]).round().clamp(-QMAX, QMAX)


def _round_with_feedback(
    layer: _Layer, weight: torch.Tensor, factor: torch.Tensor, order: torch.Tensor | None = None
) -> None:
    """Round one input's weights after the other; those not rounded yet make up for the error.

    Optimal brain quantization in GPTQ's order (Frantar et al. 2022), on the covariance R @ R.T of the layer's int8
    inputs. The output error of rounding errors d is |d @ R|^2, whose term k holds d[:k] and d[k] alone: the best
    weight k is the one that makes this term zero. Blocks of columns keep most of the work in matrix products.

    Args:
        layer: gets the int8 weights; its scales are kept.
        weight: float64 [out, in].
        factor: R, upper triangular, float64 [in, in]; or one for each group of outputs, [groups, in, in].
        order: which of the layer's inputs each column is; None: as they are.
    """
    factor = factor if factor.dim() == 3 else factor[None]
    # Rows are inputs here, those that reach an input beside each other. NumPy: thousands of small steps, each in a
    # third of torch's time.
    reach = (factor / factor.diagonal(dim1=1, dim2=2)[:, None]).mT.contiguous()
    groups, inputs = reach.shape[:2]
    rows = weight.view(groups, -1, inputs).mT.contiguous()
    scale = layer.scales.double().view(groups, -1).numpy()
    # float32, as they are kept: a number next to a half would round one way here and the other way there.
    errors, unrounded = torch.zeros_like(rows), torch.empty_like(rows, dtype=torch.float32)
    error, kept = errors.numpy(), unrounded.numpy()
    for start in range(0, inputs, _BLOCK):
        block = slice(start, start + _BLOCK)
        wanted = (rows[:, block] + reach[:, block, :start] @ errors[:, :start]).numpy()
        for column in range(wanted.shape[1]):
            index = start + column
            one = slice(index, index + 1)
            current = wanted[:, column] + (reach[:, one, start:index].numpy() @ error[:, start:index])[:, 0]
            kept[:, index] = current / scale
            error[:, index] = rows[:, index].numpy() - np.clip(np.rint(kept[:, index]), -QMAX, QMAX) * scale
    places = slice(None) if order is None else order
    found = unrounded.mT.reshape(-1, inputs)
    for tensor, values in ((layer.unrounded, found), (layer.weight, found.round().clamp(-QMAX, QMAX))):
        tensor.view(-1, inputs)[:, places] = values.to(tensor.dtype)


def _store(simulation: Simulation, layer: _Layer) -> None:
    """Carry the layer's new tensors over to the simulation, which runs it next."""
    name, module = layer.node.name, simulation.module
    output = simulation.operators[name]
    out_scale = output.meta["scale"].scale
    ratio = requantization_scale(layer.input_scale, layer.scales, out_scale)
    buffers = {
        "weight": layer.weight.to(torch.float32),
        "bias": quantize_bias(layer.bias, layer.input_scale, layer.scales).to(torch.float32),
        "scale": ratio,
    }
    for key, value in buffers.items():
        buffer = module.get_buffer(f"{name}_{key}")
        buffer.copy_(value.view_as(buffer))
