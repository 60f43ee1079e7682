"""The parts of post-training quantization that tests put together by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx

from quant.ptq.convert import fixed_specs
from quant.ptq.quantizers import ActivationSpec, activations_of
from quant.ptq.ranges import find_ranges
from quant.recipes import Recipe


def activation_specs(graph: fx.GraphModule, inputs: Sequence[torch.Tensor], recipe: Recipe) -> ActivationSpec:
    """The specs that the loss-aware ranges of a recipe give."""
    names = activations_of(graph, frozenset())
    return fixed_specs(find_ranges(graph, names, inputs, seed=0, plain_share=recipe.plain_share))
