"""A loaded network as the graphs that a run starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx

from edge_effnet.errors import InputError
from edge_effnet.fuse import fold_for_inference
from edge_effnet.head import MAKERS
from edge_effnet.in_memory.head import CARRIED
from edge_effnet.model import EfficientNet
from quant.common.progress import Progress
from quant.graph.export import export_graph
from quant.graph.memory import images_that_fit
from quant.graph.qdq import WEIGHTED
from quant.lower.xnnpack.emit import UnsupportedOperatorError
from quant.lower.xnnpack.lower import lower_xnnpack
from quant.pipeline.load import Loaded
from quant.ptq.activation_swap import refit


@dataclass(frozen=True, kw_only=True, slots=True)
class Graphs:
    """Exported float networks, BatchNorm and padding folded."""

    float: fx.GraphModule
    """What is quantized: with the activation that was asked for, refitted where that was swapped."""
    original: fx.GraphModule
    """What it is judged against: with the activation that the weights were trained with."""


def export_graphs(network: Loaded, inputs: Sequence[torch.Tensor], progress: Progress) -> Graphs:
    """Export the network, and bring one with a swapped activation back to the original on calibration batches."""
    with progress.stage("Exporting", 1) as advance:
        original = _folded(network.checkpoint.model, network)
        advance(1)
    if not network.swapped:
        return Graphs(float=original, original=original)
    layers = sum(node.target in WEIGHTED for node in original.graph.nodes)
    with progress.stage("Refitting", layers) as advance:
        swapped = _folded(network.model, network)
        return Graphs(float=refit(swapped, original, images_that_fit(original, inputs), advance), original=original)


def require_lowerable(network: Loaded, graphs: Graphs) -> None:
    """Refuse a head of somebody's own with operators that XNNPACK, or our lowering to it, has no rule for.

    Raises:
        InputError: naming the first one.
    """
    if network.checkpoint.model.head_steps != CARRIED:
        return
    try:
        lower_xnnpack(graphs.float, network.input_shape)
    except UnsupportedOperatorError as error:
        operators = ", ".join(sorted(word for word in MAKERS if word != "swish"))
        raise InputError(
            f"model: its head has an operator that no kernel here runs ({str(error).rstrip('.')}); make the head of "
            f'{operators}, sums and products, or pass head="none" for the features in front of it.'
        ) from error


def _folded(model: EfficientNet, network: Loaded) -> fx.GraphModule:
    size = network.preprocess.crop
    return export_graph(fold_for_inference(model, size), size, model.in_channels)
