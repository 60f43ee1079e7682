"""A graph cut in pieces, where one tensor is all that goes on: memory for a pass back through one piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from torch import fx


@dataclass(frozen=True, slots=True)
class Section:
    """Nodes in a row, constants left out."""

    reads: fx.Node | None
    """The node before, whose result is all that they read of earlier ones; None for the first section."""
    nodes: tuple[fx.Node, ...]


def sections(graph: fx.Graph, sizes: dict[fx.Node, int], count: int) -> list[Section]:
    """Cut a graph of one input into sections of about as many numbers each.

    Args:
        graph: exported.
        sizes: numbers that nodes hold; others hold none.
        count: of sections, at least one; fewer where the graph offers no place to cut.
    """
    nodes = [node for node in graph.nodes if node.op != "get_attr"]
    places = {node: place for place, node in enumerate(nodes)}
    last_reads = [max((places[user] for user in node.users), default=place) for node, place in places.items()]
    # Of all nodes before each one, the last place that reads one of them.
    read_until = [0, *accumulate(last_reads, max)]
    filled = list(accumulate(sizes.get(node, 0) for node in nodes))
    cuts = [0]
    for place in range(len(nodes) - 1):
        full = filled[place] * count >= filled[-1] * len(cuts)
        if full and len(cuts) < count and read_until[place] <= place:
            cuts.append(place + 1)
    return [
        Section(nodes[start - 1] if start else None, tuple(nodes[start:end]))
        for start, end in zip(cuts, [*cuts[1:], len(nodes)], strict=True)
    ]
