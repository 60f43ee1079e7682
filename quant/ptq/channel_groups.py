"""Channels of a block in two groups of like range, each with its own int8 scales: exact, and no layer twice.

From a block's expansion to its projection every channel goes its own way: SiLU, depthwise convolution, pooling and
gate act on it alone. So the block is a sum of two narrower blocks,

    project(h) = project[:, a](h[a]) + project[:, b](h[b])

and likewise the layer of squeeze-excite that reads the pooled channels. In float nothing changes but rounding. In
int8 the few channels of wide range (in B0's stem 59 against 7) no longer take the resolution of all others. The
arithmetic stays the same; an addition at the block's narrow end is new.

Which channels go together, and which blocks are split, follows from two first-order estimates: what the logits lose
by the grids' steps (`Split`), and what a split adds to instructions and file (`quant/graph/instructions.py`). Budgets
of both are spent where they buy most.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.instructions import group_bytes, group_instructions, instructions, weight_bytes
from quant.graph.qdq import add_constant, constant_of, is_depthwise
from quant.ptq.equalize import equalizable
from quant.ptq.ranges import ChannelRanges, channel_ranges

aten = torch.ops.aten

TILE = 16
"""Channels that XNNPACK's kernels compute at once: a group that is no multiple would leave part of a tile idle."""

_WIDE_TILE = 32
"""The same on AVX512; kept where there are channels enough."""

# SiLU's negative side is read down to about here, however small a channel's positive range is.
_TAIL = 4.0


def groupable(graph_module: fx.GraphModule) -> list[str]:
    """Names of the convolutions whose channels can be split, from input to output."""
    convolutions = {node.name: node for node in graph_module.graph.nodes}
    return [
        name
        for name in equalizable(graph_module)
        if convolutions[name].meta["val"].shape[1] >= 2 * TILE and _ends_in_convolutions(convolutions[name])
    ]


def split_channels(
    graph_module: fx.GraphModule,
    names: Sequence[str],
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    plain_share: float,
    budget: float,
    file_share: float,
    advance: Callable[[int], None] = lambda images: None,
) -> fx.GraphModule:
    """Split the channels behind some convolutions of a float graph in two.

    Args:
        graph_module: from `export_graph`; left untouched.
        names: convolutions, of `groupable`.
        inputs: images that show the channels' ranges, in batches, each [n, C, H, W] float32.
        seed: of the random projections of the logits that weigh the ranges.
        plain_share: as for `find_ranges`.
        budget: instructions that the splits may add, as a share of the network's, estimated.
        file_share: bytes that they may add, as a share of the weights'.
        advance: told of the images read, twice each.

    Returns:
        A float graph that computes the same.

    Raises:
        KeyError: a name that is no node.
    """
    with quiet_libraries():
        result = copy.deepcopy(graph_module)
    nodes = {node.name: node for node in result.graph.nodes}
    behind = {name: _behind(nodes[name]) for name in names}
    # SiLU's, the depthwise layer's, and the gated one: all with a grid, but for what SiLU reads, which is as wide.
    products = {name: [n.name for n in within if n.target is aten.mul.Tensor] for name, (within, _) in behind.items()}
    shown = [product for found in products.values() for product in found]
    ranges = channel_ranges(result, shown, inputs, seed=seed, plain_share=plain_share, advance=advance)
    splits = {name: group_channels([ranges[product] for product in products[name]]) for name in names}
    whole = budget * instructions(result), file_share * weight_bytes(result)
    costs = {
        name: (group_instructions(ends) / whole[0], group_bytes(ends) / whole[1])
        for name, (_, ends) in behind.items()
    }
    for name in choose(splits, costs):
        _split(result, nodes[name], splits[name].groups)
    result.graph.eliminate_dead_code()
    result.graph.lint()
    result.recompile()
    return result


@dataclass(frozen=True, slots=True)
class Split:
    """Channels in two groups."""

    groups: tuple[torch.Tensor, torch.Tensor]
    """Indices of the narrow and of the wide ones, rising."""
    gain: float
    """What the logits' squared error loses by it, but for a factor that all layers share."""


def group_channels(ranges: Sequence[ChannelRanges]) -> Split:
    """Part channels into narrow and wide ones, where the logits suffer least from the steps of all grids.

    The error of a grid grows with its step squared, and counts with the weight of the channels on it. A wide channel
    that little depends on then takes no narrow one's resolution, however few or many there are of each. A group holds
    the same channels in all tensors of a block, which differ in which of them are wide: several orders of the
    channels are tried, each cut where it is best.

    Args:
        ranges: of the tensors that the groups share, from input to output.
    """
    reach = torch.stack([found.high.clamp_min(_TAIL).double() for found in ranges])
    weight = torch.stack([found.weight for found in ranges])
    before = _noise(reach, weight)[-1].item()
    noise, order, narrow = min((_cut(reach, weight, order) for order in _orders(reach, weight)), key=itemgetter(0))
    return Split((order[:narrow].sort().values, order[narrow:].sort().values), before - noise)


def _orders(reach: torch.Tensor, weight: torch.Tensor) -> list[torch.Tensor]:
    """Channels from narrow to wide, as each tensor [tensors, C] sees them, and as all of them do together."""
    widest = reach.amax(dim=1, keepdim=True)
    noise = weight.sum(dim=1, keepdim=True) * widest.square()
    together = [(reach.log() * noise**power).sum(dim=0) for power in (0.25, 0.5, 1.0)]
    return [key.argsort() for key in (*reach, (reach / widest).amax(dim=0), *together)]


def _cut(reach: torch.Tensor, weight: torch.Tensor, order: torch.Tensor) -> tuple[float, torch.Tensor, int]:
    """Cut an order of the channels after whole tiles, with the least noise: this, the order, and where."""
    channels = len(order)
    tile = _WIDE_TILE if channels > 5 * _WIDE_TILE else TILE
    narrow = _noise(reach[:, order], weight[:, order])
    wide = _noise(reach[:, order.flip(0)], weight[:, order.flip(0)])
    noise, cut = min((float(narrow[cut - 1] + wide[channels - cut - 1]), cut) for cut in range(tile, channels, tile))
    return noise, order, cut


def _noise(reach: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Of a group of the first channels, for each number of them, float64 [C]."""
    return (weight.cumsum(1) * reach.cummax(1).values.square()).sum(dim=0)


def choose(splits: Mapping[str, Split], costs: Mapping[str, tuple[float, ...]]) -> list[str]:
    """Take the splits that spare most noise for what they cost, while their budgets last.

    Args:
        splits: by convolution.
        costs: by convolution, shares of each budget.
    """
    taken: list[str] = []
    for name in sorted(splits, key=lambda name: splits[name].gain / sum(costs[name]), reverse=True):
        spent = (sum(shares) for shares in zip(*(costs[each] for each in (*taken, name)), strict=True))
        if all(share <= 1.0 for share in spent):
            taken.append(name)
    return taken


def _behind(convolution: fx.Node) -> tuple[list[fx.Node], list[fx.Node]]:
    """What a convolution's channels meet, in the graph's order: up to convolutions that mix them, and these."""
    found: dict[fx.Node, None] = {}
    waiting = list(convolution.users)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found[node] = None
        if not _mixes(node):
            waiting += node.users
    nodes = [node for node in convolution.graph.nodes if node in found]
    return [node for node in nodes if not _mixes(node)], [node for node in nodes if _mixes(node)]


def _ends_in_convolutions(convolution: fx.Node) -> bool:
    """Whether everything that a convolution's channels meet acts on each alone, up to convolutions that mix them."""
    return all(_channelwise(node) for node in _behind(convolution)[0])


def _mixes(node: fx.Node) -> bool:
    return node.target is aten.conv2d.default and not is_depthwise(node)


def _channelwise(node: fx.Node) -> bool:
    if node.target is aten.conv2d.default:
        return is_depthwise(node)
    return node.target in (aten.mul.Tensor, aten.sigmoid.default, aten.mean.dim, aten.pad.default)


def _split(module: fx.GraphModule, convolution: fx.Node, groups: Sequence[torch.Tensor]) -> None:
    """Walk from a convolution to the ones that mix its channels, with a copy of everything for each group."""
    parts: dict[fx.Node, list[fx.Node]] = {}
    gates = _gates(_behind(convolution)[0], convolution)
    for node in list(module.graph.nodes):
        if node is convolution or node in gates:
            parts[node] = [_with_outputs(module, node, k, group) for k, group in enumerate(groups)]
        elif not any(source in parts for source in node.all_input_nodes):
            continue
        elif _mixes(node):
            sums = [
                _with_inputs(module, node, k, group, parts[node.all_input_nodes[0]][k])
                for k, group in enumerate(groups)
            ]
            node.replace_all_uses_with(_call(module, node, f"{node.name}_sum", aten.add.Tensor, tuple(sums)))
        elif node.target is aten.conv2d.default:
            source = node.all_input_nodes[0]
            parts[node] = [_with_outputs(module, node, k, group, parts[source][k]) for k, group in enumerate(groups)]
        else:
            parts[node] = [_copied(module, node, k, parts) for k in range(len(groups))]


def _gates(behind: Sequence[fx.Node], convolution: fx.Node) -> set[fx.Node]:
    """Convolutions whose sigmoid gates the channels: squeeze-excite's second one."""
    sources = (source.all_input_nodes[0] for node in behind for source in node.all_input_nodes if _is_sigmoid(source))
    return {source for source in sources if _mixes(source) and source is not convolution}


def _is_sigmoid(node: fx.Node) -> bool:
    return node.target is aten.sigmoid.default


def _with_outputs(
    module: fx.GraphModule, node: fx.Node, k: int, group: torch.Tensor, source: fx.Node | None = None
) -> fx.Node:
    """A convolution that gives a group's channels only."""
    weight, bias = (constant_of(module, node.args[i])[group] for i in (1, 2))
    args: list[Any] = list(node.args)
    args[0] = source or args[0]
    args[1:3] = _constants(module, node, k, weight, bias)
    if is_depthwise(node):
        args[6] = len(group)
    return _call(module, node, f"{node.name}_g{k}", aten.conv2d.default, tuple(args))


def _with_inputs(module: fx.GraphModule, node: fx.Node, k: int, group: torch.Tensor, source: fx.Node) -> fx.Node:
    """A convolution that reads a group's channels only; the first one adds the bias."""
    weight, bias = (constant_of(module, node.args[i]) for i in (1, 2))
    constants = _constants(module, node, k, weight[:, group], bias if k == 0 else torch.zeros_like(bias))
    return _call(module, node, f"{node.name}_g{k}", aten.conv2d.default, (source, *constants, *node.args[3:]))


def _copied(module: fx.GraphModule, node: fx.Node, k: int, parts: dict[fx.Node, list[fx.Node]]) -> fx.Node:
    args = tuple(parts[a][k] if isinstance(a, fx.Node) else a for a in node.args)
    return _call(module, node, f"{node.name}_g{k}", node.target, args)


def _call(module: fx.GraphModule, like: fx.Node, name: str, target: Any, args: tuple[Any, ...]) -> fx.Node:
    with module.graph.inserting_before(like):
        node = module.graph.create_node(
            "call_function", target, args, like.kwargs if target is like.target else {}, name
        )
    node.meta = dict(like.meta)
    node.meta["val"] = _value(like, args)
    return node


def _value(like: fx.Node, args: tuple[Any, ...]) -> torch.Tensor:
    """What export would have left: shapes are read from there."""
    value: torch.Tensor = like.meta["val"]
    channels = args[1].meta["val"].shape[0] if like.target is aten.conv2d.default and len(args) > 2 else None
    if channels is None:
        channels = args[0].meta["val"].shape[1]
    return value.new_empty((value.shape[0], channels, *value.shape[2:]))


def _constants(module: fx.GraphModule, node: fx.Node, k: int, *values: torch.Tensor) -> list[fx.Node]:
    with module.graph.inserting_before(node):
        return [
            add_constant(module, f"{node.name}_g{k}_{kind}", value.contiguous())
            for kind, value in zip(("weight", "bias"), values, strict=True)
        ]
