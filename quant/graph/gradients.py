"""How much the logits move with every activation: one backward pass of a random projection of them.

The square of that gradient is, in expectation over the random signs, the diagonal of the Gauss-Newton matrix of the
logits: what a small error in an activation costs in squared error of the logits, to first order.

Images go in channels last: a pass takes 0.85 of the time that way (B0, batches of 16, AVX-512).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from quant.graph.export import SiluAtOnce
from quant.graph.memory import backward_batch, backward_sections
from quant.graph.sections import Section

_SHARDS = 4
"""Passes beside each other: of a number that no machine changes, what they find is everywhere the same."""


class Observer(SiluAtOnce):
    """Looks at the tensors of a float graph that runs, and hooks what it wants of their gradients."""

    turn = 0
    """Of the images that run: each batch of them has its own."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the whole graph on a batch (fx's protocol)."""
        self.turn += 1
        return super().run(*args, **kwargs)


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
    observer: Observer,
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    advance: Callable[[int], None] = lambda images: None,
) -> None:
    """Run a float graph forward, then backward from a random projection of each image's logits.

    A graph of which one image fills the memory of a pass runs in sections: forward as a whole, where only what one
    section hands to the next is kept, then each section again, the last first, with its own pass back.

    Args:
        observer: of the graph; it sees each node once a batch, in the order of the graph within a section.
        inputs: images in batches, each [n, C, H, W] float32; split further where memory asks for it.
        seed: of the projections.
        advance: told of the images done.
    """
    generator = torch.Generator().manual_seed(seed)
    graph_module = observer.module
    assert isinstance(graph_module, fx.GraphModule)
    most, parts = backward_batch(graph_module), backward_sections(graph_module)
    for batch in inputs:
        for images in batch.chunk(-(-len(batch) // most)):
            sources = _handed_on(graph_module, images.contiguous(memory_format=torch.channels_last), parts)
            gradient: torch.Tensor | None = None
            observer.turn += 1
            for part in reversed(parts):
                with torch.enable_grad():  # whatever the caller's mode
                    source = sources.pop().detach().requires_grad_()
                    result = _run(observer, part, source)
                    if gradient is None:
                        gradient = torch.randint(0, 2, result.shape, generator=generator) * 2.0 - 1.0
                    torch.autograd.backward(result, gradient, inputs=[source])
                # Hooks hold the observer, that the result, and that the hooks: no collector sees the circle.
                observer.env.clear()
                gradient = source.grad
            advance(len(images))


def _handed_on(graph_module: fx.GraphModule, images: torch.Tensor, parts: Sequence[Section]) -> list[torch.Tensor]:
    """What each section reads: the images, and what the sections before hand on."""
    sources, plain = [images], SiluAtOnce(graph_module)
    with torch.no_grad():
        for part in parts[:-1]:
            sources.append(_run(plain, part, sources[-1]))
    return sources


def _run(interpreter: fx.Interpreter, part: Section, source: torch.Tensor) -> torch.Tensor:
    """Run a section on what it reads; return its last node's result."""
    interpreter.args_iter = iter([source])
    interpreter.env = {} if part.reads is None else {part.reads: source}
    for node in part.nodes:
        for constant in node.all_input_nodes:
            if constant.op == "get_attr":
                interpreter.env[constant] = interpreter.run_node(constant)
        result = interpreter.env[node] = interpreter.run_node(node)
        for read in interpreter.user_to_last_uses.get(node, []):
            del interpreter.env[read]
    result = result[0] if isinstance(result, (tuple, list)) else result
    assert isinstance(result, torch.Tensor)
    return result
