"""What a network asks of a phone: multiply-accumulates, memory, file; and a warning where that is too much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from quant.common.findings import Finding, finding
from quant.graph.qdq import WEIGHTED
from quant.thresholds import PHONE_FILE_MB, PHONE_GMACS, PHONE_RAM_MB

aten = torch.ops.aten


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """Estimates for one forward of one image."""

    macs: int
    """Multiply-accumulates of convolutions and classifier."""
    activations: int
    """Bytes of fp32 activations alive together, at most."""


def footprint(graph_module: fx.GraphModule) -> Footprint:
    """Estimate from the shapes of an exported float graph."""
    macs, alive, peak = 0, 0, 0
    readers = {node: len(node.users) for node in graph_module.graph.nodes}
    for node in graph_module.graph.nodes:
        if node.target in WEIGHTED:
            weight = node.args[1].meta["val"]
            macs += _elements(node) * int(weight[0].numel())
        alive += _bytes(node)
        peak = max(peak, alive)
        for source in node.all_input_nodes:
            readers[source] -= 1
            if readers[source] == 0:
                alive -= _bytes(source)
    return Footprint(macs=macs, activations=peak)


def check_footprint(footprint: Footprint, size_bytes: int) -> tuple[Finding, ...]:
    """Say where a program is too large for a phone of today; RAM counts weights, packed once more, and tensors.

    Args:
        footprint: of the network.
        size_bytes: of its .pte.
    """
    ram = 2 * size_bytes + footprint.activations
    figures = {
        f"{footprint.macs / 1e9:.1f} G multiply-accumulates an image (above {PHONE_GMACS:g})": (
            footprint.macs / 1e9 > PHONE_GMACS
        ),
        f"about {ram / 1e6:.0f} MB of RAM (above {PHONE_RAM_MB})": ram / 1e6 > PHONE_RAM_MB,
        f"a file of {size_bytes / 1e6:.0f} MB (above {PHONE_FILE_MB})": size_bytes / 1e6 > PHONE_FILE_MB,
    }
    found = [figure for figure, beyond in figures.items() if beyond]
    if not found:
        return ()
    message = f"Large for a phone: {', '.join(found)}; take a smaller variant, image size or precision."
    return (finding("large-for-phones", message),)


def _elements(node: fx.Node) -> int:
    value = node.meta.get("val")
    if node.op == "get_attr" or not isinstance(value, torch.Tensor):
        return 0
    return int(torch.Size(int(side) for side in value.shape[1:]).numel())


def _bytes(node: fx.Node) -> int:
    return 4 * _elements(node)
