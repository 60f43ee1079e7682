"""How much the logits move with every activation: one backward pass of a random projection of them.

The square of that gradient is, in expectation over the random signs, the diagonal of the Gauss-Newton matrix of the
logits: what a small error in an activation costs in squared error of the logits, to first order.

Images go in channels last: a pass takes 0.85 of the time that way (B0, batches of 16, AVX-512).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import fx

from quant.graph.memory import backward_batch

_SHARDS = 4
"""Passes beside each other: of a number that no machine changes, what they find is everywhere the same."""


def dealt(graph_module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Deal images to passes beside each other, so few to each at once that backward passes fit into memory together.

    Args:
        graph_module: from `export_graph`.
        inputs: images in batches, each [n, C, H, W].
    """
    most = backward_batch(graph_module)
    shards = min(_SHARDS, most)
    parts = [part for batch in inputs for part in batch.split(max(1, most // shards))]
    return [parts[shard::shards] for shard in range(shards)]


@torch.no_grad()
def run_forward(
    interpreter: fx.Interpreter,
    inputs: Sequence[torch.Tensor],
    advance: Callable[[int], None] = lambda images: None,
) -> None:
    """Run a float graph forward; arguments as `run_both_ways`."""
    for batch in inputs:
        interpreter.run(batch.contiguous(memory_format=torch.channels_last))
        advance(len(batch))


def run_both_ways(
    interpreter: fx.Interpreter,
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    advance: Callable[[int], None] = lambda images: None,
) -> None:
    """Run a float graph forward, then backward from a random projection of each image's logits.

    Args:
        interpreter: of the graph; what it wants of the gradients it hooks on the tensors that `run_node` shows it.
        inputs: images in batches, each [n, C, H, W] float32; split further where memory asks for it.
        seed: of the projections.
        advance: told of the images done.
    """
    generator = torch.Generator().manual_seed(seed)
    assert isinstance(interpreter.module, fx.GraphModule)
    most = backward_batch(interpreter.module)
    for batch in inputs:
        for part in batch.chunk(-(-len(batch) // most)):
            with torch.enable_grad():  # whatever the caller's mode
                source = part.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
                logits = interpreter.run(source)
                signs = torch.randint(0, 2, logits.shape, generator=generator) * 2.0 - 1.0
                torch.autograd.backward((logits * signs).sum(), inputs=[source])
            # Hooks hold the interpreter, which holds the logits, which hold the hooks: no collector sees that circle.
            interpreter.env.clear()
            advance(len(part))
