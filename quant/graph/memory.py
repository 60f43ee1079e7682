"""How much of a calibration set fits into memory at once."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Sequence

import torch
from torch import fx

from quant.data.batches import first_images
from quant.graph.qdq import elements
from quant.graph.sections import Section, sections

# For the stream of a reconstruction that stops at every layer.
_STREAM_BYTES = 5.34e8


# Its widest activation is kept between layers, int8 or float16; what the other stream keeps is narrow.
_BYTES_PER_ELEMENT = 2


# Images that walk from layer to layer together, a chunk in each thread: at most, and floats of the widest activation.
_CHUNK, _CHUNK_BYTES = 8, 1e8


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


def images_that_fit(
    graph_module: fx.GraphModule, inputs: Sequence[torch.Tensor], most: int | None = None
) -> list[torch.Tensor]:
    """The leading images, at most `most`, for which a reconstruction's streams fit, in chunks; at least one."""
    most = sum(map(len, inputs)) if most is None else most
    widest = max(_elements(graph_module))
    count = max(1, min(most, int(_STREAM_BYTES / (_BYTES_PER_ELEMENT * widest))))
    chunk = max(1, min(_CHUNK, int(_CHUNK_BYTES / (4 * widest))))
    return [part for batch in first_images(inputs, count) for part in batch.split(chunk)]


def backward_batch(graph_module: fx.GraphModule) -> int:
    """Images of one backward pass; one at least."""
    return max(1, int(_BACKWARD_BYTES / (4 * sum(_elements(graph_module)))))


def backward_sections(graph_module: fx.GraphModule) -> list[Section]:
    """Cut a graph so that a backward pass of one image keeps no more at a time than one of several smaller ones."""
    sizes = _sizes(graph_module)
    return sections(graph_module.graph, sizes, math.ceil(4 * sum(sizes.values()) / _BACKWARD_BYTES))


def _elements(graph_module: fx.GraphModule) -> list[int]:
    """Numbers that one image takes in each activation."""
    return [1, *_sizes(graph_module).values()]


def _sizes(graph_module: fx.GraphModule) -> dict[fx.Node, int]:
    return {
        node: elements(node)
        for node in graph_module.graph.nodes
        if node.op == "call_function" and isinstance(node.meta.get("val"), torch.Tensor)
    }
