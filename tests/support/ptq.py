"""The parts of post-training quantization that tests put together by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from quant.common.progress import NoProgress
from quant.ptq.convert import fixed_specs
from quant.ptq.quantizers import ActivationSpec, activations_of
from quant.ptq.ranges import find_ranges
from quant.ptq.steps import Quantized, quantize_graph
from quant.recipes import RECIPES, Recipe


def quantized(
    graph: fx.GraphModule, inputs: Sequence[torch.Tensor], recipe: str = "int8-fast", **settings: Any
) -> Quantized:
    """A graph by a recipe, calibrated on these inputs."""
    return quantize_graph(graph, inputs, RECIPES[recipe], seed=0, progress=NoProgress(), **settings)


def activation_specs(graph: fx.GraphModule, inputs: Sequence[torch.Tensor], recipe: Recipe) -> ActivationSpec:
    """The specs that the loss-aware ranges of a recipe give."""
    names = activations_of(graph, frozenset())
    return fixed_specs(find_ranges(graph, names, inputs, seed=0, plain_share=recipe.plain_share))
