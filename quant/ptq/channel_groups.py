"""Channels of a block in two groups of like range, each with its own int8 scales: exact, and no layer twice.

From a block's expansion to its projection every channel goes its own way: SiLU, depthwise convolution, pooling and
gate act on it alone. So the block is a sum of two narrower blocks,

    project(h) = project[:, a](h[a]) + project[:, b](h[b])

and likewise the layer of squeeze-excite that reads the pooled channels. In float nothing changes but rounding. In
int8 the few channels of wide range (in B0's stem 59 against 7) no longer take the resolution of all others. The
arithmetic stays the same; an addition at the block's narrow end is new.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import add_constant, constant_of, is_depthwise
from quant.ptq.equalize import equalizable, silu_product
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
    most: int | None = None,
    advance: Callable[[int], None] = lambda images: None,
) -> fx.GraphModule:
    """Split the channels behind some convolutions of a float graph in two.

    Args:
        graph_module: from `export_graph`; left untouched.
        names: convolutions, of `groupable`.
        inputs: images that show the channels' ranges, in batches, each [n, C, H, W] float32.
        seed: of the random projections of the logits that weigh the ranges.
        plain_share: as for `find_ranges`.
        most: how many of them, those where the logits gain most; None: all.
        advance: told of the images read, twice each.

    Returns:
        A float graph that computes the same.

    Raises:
        KeyError: a name that is no node.
    """
    with quiet_libraries():
        result = copy.deepcopy(graph_module)
    nodes = {node.name: node for node in result.graph.nodes}
    products = {name: silu_product(nodes[name]) for name in names}
    ranges = channel_ranges(
        result, [p.name for p in products.values()], inputs, seed=seed, plain_share=plain_share, advance=advance
    )
    splits = {name: group_channels(ranges[products[name].name]) for name in names}
    for name in sorted(names, key=lambda name: splits[name].gain, reverse=True)[:most]:
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


def group_channels(ranges: ChannelRanges) -> Split:
    """Part channels into narrow and wide ones, where the logits suffer least from the steps of both grids.

    The error of a grid grows with its step squared, and counts with the weight of the channels on it. A wide channel
    that little depends on then takes no narrow one's resolution, however few or many there are of each.
    """
    reach = ranges.high.clamp_min(_TAIL).double()
    order = reach.argsort()
    ordered, weight, channels = reach[order], ranges.weight[order].cumsum(0), len(reach)
    tile = _WIDE_TILE if channels > 5 * _WIDE_TILE else TILE

    def error(narrow: int) -> float:
        wide = weight[-1] - weight[narrow - 1]
        return float(weight[narrow - 1] * ordered[narrow - 1] ** 2 + wide * ordered[-1] ** 2)

    narrow = min(range(tile, channels, tile), key=error)
    return Split((order[:narrow].sort().values, order[narrow:].sort().values), error(channels) - error(narrow))


def _ends_in_convolutions(convolution: fx.Node) -> bool:
    """Whether everything that a convolution's channels meet acts on each alone, up to convolutions that mix them."""
    waiting, seen = list(convolution.users), set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if _mixes(node):
            continue
        if not _channelwise(node):
            return False
        waiting += node.users
    return True


def _mixes(node: fx.Node) -> bool:
    return node.target is aten.conv2d.default and not is_depthwise(node)


def _channelwise(node: fx.Node) -> bool:
    if node.target is aten.conv2d.default:
        return is_depthwise(node)
    return node.target in (aten.mul.Tensor, aten.sigmoid.default, aten.mean.dim, aten.pad.default)


def _split(module: fx.GraphModule, convolution: fx.Node, groups: Sequence[torch.Tensor]) -> None:
    """Walk from a convolution to the ones that mix its channels, with a copy of everything for each group."""
    parts: dict[fx.Node, list[fx.Node]] = {}
    gates = _gates(convolution)
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


def _gates(convolution: fx.Node) -> set[fx.Node]:
    """Convolutions whose sigmoid gates the channels: squeeze-excite's second one."""
    found: set[fx.Node] = set()
    waiting, seen = list(convolution.users), {convolution}
    while waiting:
        node = waiting.pop()
        if node in seen or _mixes(node):
            continue
        seen.add(node)
        waiting += node.users
        for source in node.all_input_nodes:
            behind = source.all_input_nodes[0] if source.target is aten.sigmoid.default else None
            if behind is not None and _mixes(behind) and behind is not convolution:
                found.add(behind)
    return found


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
