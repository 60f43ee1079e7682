"""How much of a calibration set fits into memory at once."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence

import torch
from torch import fx

from quant.data.batches import first_images
from quant.graph.qdq import elements

# For the two streams of the reconstruction; more images change little, and take longer.
_STREAM_BYTES = 5.34e8


# Of each stream's widest activation one is kept between layers: int8 on one side, float16 on the other.
_BYTES_PER_ELEMENT = 3


# Images that walk from layer to layer together, each chunk in a thread: what it computes on the way is float32.
_CHUNK = 8


# For one backward pass, which keeps about as many floats as there are activations, and their gradients.
_BACKWARD_BYTES = 1.4e9


def give_back_freed_memory() -> None:
    """Let the system have what earlier stages freed, where the C library can (glibc).

    Stages need blocks of other sizes than those before them left: B7 at 600 pixels grew by gigabytes at each.
    """
    if not sys.platform.startswith("linux"):
        return
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def images_that_fit(graph_module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The leading images for which both streams of the reconstruction fit, in chunks; one image at least."""
    count = max(1, int(_STREAM_BYTES / (_BYTES_PER_ELEMENT * max(_elements(graph_module)))))
    return [part for batch in first_images(inputs, count) for part in batch.split(_CHUNK)]


def backward_batch(graph_module: fx.GraphModule) -> int:
    """Images of one backward pass; one at least."""
    return max(1, int(_BACKWARD_BYTES / (4 * sum(_elements(graph_module)))))


def _elements(graph_module: fx.GraphModule) -> list[int]:
    """Numbers that one image takes in each activation."""
    counts = [1]
    for node in graph_module.graph.nodes:
        value = node.meta.get("val")
        if node.op == "call_function" and isinstance(value, torch.Tensor):
            counts.append(elements(node))
    return counts
