"""Exact equalization through SiLU: channels of very different range stop sharing one coarse scale.

`x * sigmoid(x)` is not homogeneous, so a channel cannot be scaled through it as through ReLU. But with the gate
computed apart it can: for any k > 0

    x * sigmoid(x) = k * ((x / k) * sigmoid(x))

A convolution becomes two that read the same input. The first gives x / k (its filters divided by k, one k a
channel), where all channels now have about the same range and one scale serves them all. The second gives x for the
gate alone; since the sigmoid saturates, that one's scale has to resolve only what lies around zero. k is folded into
the filters that read the product, through padding, pooling and squeeze-excite. In float nothing changes but rounding;
in int8 the per-tensor activation behaves as a per-channel one, at the price of one more (cheap) convolution.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), equalize through ReLU.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import add_constant, constant_of, is_depthwise
from quant.ptq.ranges import channel_ranges

aten = torch.ops.aten

# A channel counts as reaching at least this far, in units of SiLU's input: x / k is not homogeneous, and carries the
# tail that SiLU's negative side still reads (-4 * sigmoid(-4) = -0.07). Channels of less range must not blow it up.
_TAIL = 4.0

GATE_SUFFIX = "_gate"
"""Ends the name of the convolution that feeds a sigmoid."""


@dataclass(frozen=True, slots=True)
class _Site:
    """A convolution with a SiLU behind it, and what reads that."""

    convolution: fx.Node
    sigmoid: fx.Node
    product: fx.Node
    readers: tuple[fx.Node, ...]
    """Convolutions that take k into their filters."""


def equalizable(graph_module: fx.GraphModule) -> list[str]:
    """Names of the convolutions whose SiLU can be equalized, from input to output."""
    return [site.convolution.name for site in _sites(graph_module)]


def equalize(
    graph_module: fx.GraphModule,
    names: Sequence[str],
    inputs: Sequence[torch.Tensor],
    *,
    seed: int,
    plain_share: float,
) -> fx.GraphModule:
    """Equalize the channels behind some convolutions of a float graph.

    Args:
        graph_module: from `export_graph`; left untouched.
        names: convolutions, of `equalizable`.
        inputs: images that show the channels' ranges, in batches, each [n, C, H, W] float32.
        seed: of the random projections of the logits that weigh the ranges.
        plain_share: as for `find_ranges`.

    Returns:
        A float graph that computes the same.

    Raises:
        KeyError: a name that is not equalizable.
    """
    with quiet_libraries():
        result = copy.deepcopy(graph_module)
    sites = {site.convolution.name: site for site in _sites(result)}
    chosen = [sites[name] for name in names]
    ranges = channel_ranges(
        result, [site.product.name for site in chosen], inputs, seed=seed, plain_share=plain_share
    )
    for site in chosen:
        reach = ranges[site.product.name].high.clamp_min(_TAIL)
        _rewrite(result, site, reach / reach.max())
    result.graph.lint()
    result.recompile()
    return result


def _sites(graph_module: fx.GraphModule) -> list[_Site]:
    found = []
    for node in graph_module.graph.nodes:
        # A second depthwise convolution costs as much as all of the block's others; squeeze-excite's work on means.
        if node.target is not aten.conv2d.default or is_depthwise(node) or _reads_means(node):
            continue
        silu = _silu_behind(node)
        readers = () if silu is None else _readers(silu[1])
        if silu is not None and readers:
            found.append(_Site(node, *silu, readers))
    return found


def _silu_behind(convolution: fx.Node) -> tuple[fx.Node, fx.Node] | None:
    """The sigmoid and the product that are all that reads a convolution."""
    users = list(convolution.users)
    sigmoids = [user for user in users if user.target is aten.sigmoid.default]
    products = [user for user in users if user.target is aten.mul.Tensor]
    if len(users) != 2 or len(sigmoids) != 1 or len(products) != 1:
        return None
    return (sigmoids[0], products[0]) if set(products[0].args) == {convolution, sigmoids[0]} else None


def _readers(product: fx.Node) -> tuple[fx.Node, ...]:
    """The convolutions that a channel's scale can be folded into; none if it meets anything else on its way."""
    found: list[fx.Node] = []
    waiting = list(product.users)
    while waiting:
        node = waiting.pop()
        if node.target is aten.conv2d.default:
            found.append(node)
        elif node.target in (aten.pad.default, aten.mean.dim) or _is_gated(node, product):
            waiting += node.users
        else:
            return ()
    return tuple(found)


def _is_gated(node: fx.Node, product: fx.Node) -> bool:
    """Whether a node is squeeze-excite's `product * gate`, which keeps a channel's scale."""
    others = [arg for arg in node.args if arg is not product]
    return node.target is aten.mul.Tensor and len(others) == 1 and _is_sigmoid(others[0])


def _reads_means(convolution: fx.Node) -> bool:
    source = convolution.args[0]
    return isinstance(source, fx.Node) and source.target is aten.mean.dim


def _is_sigmoid(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.target is aten.sigmoid.default


def _rewrite(module: fx.GraphModule, site: _Site, k: torch.Tensor) -> None:
    convolution = site.convolution
    weight = constant_of(module, convolution.args[1])
    bias = constant_of(module, convolution.args[2])
    gate_name = f"{convolution.name}{GATE_SUFFIX}"
    with module.graph.inserting_before(convolution):
        scaled = _constants(module, convolution.name, weight / k.view(-1, 1, 1, 1), bias / k)
        gate = _constants(module, gate_name, weight.clone(), bias.clone())
    with module.graph.inserting_after(convolution):
        twin = module.graph.create_node(
            "call_function",
            aten.conv2d.default,
            (convolution.args[0], *gate, *convolution.args[3:]),
            convolution.kwargs,
            name=gate_name,
        )
    twin.meta = dict(convolution.meta)
    convolution.args = (convolution.args[0], *scaled, *convolution.args[3:])
    site.sigmoid.replace_input_with(convolution, twin)
    for reader in site.readers:
        _fold(module, reader, k)


def _fold(module: fx.GraphModule, reader: fx.Node, k: torch.Tensor) -> None:
    weight = constant_of(module, reader.args[1])
    with module.graph.inserting_before(reader):
        folded = weight * (k.view(-1, 1, 1, 1) if is_depthwise(reader) else k.view(1, -1, 1, 1))
        (node,) = _constants(module, reader.name, folded)
    reader.args = (reader.args[0], node, *reader.args[2:])


def _constants(module: fx.GraphModule, name: str, *values: torch.Tensor) -> list[fx.Node]:
    pairs = zip(("weight", "bias"), values, strict=False)
    return [add_constant(module, f"{name}_equalized_{kind}", value) for kind, value in pairs]
