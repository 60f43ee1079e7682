"""Pixels straight into the stem: mean and standard deviation folded into it, and its padding a colour.

A stem on normalised images is one on pixels with other weights, `w / std`, and another bias. The zeros that it pads
with are then pixels of the mean's colour, another number in each channel, where a convolution's own padding knows one
for all: the pixels come padded.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import fx
from torch.nn import functional as F

from quant.common.quiet import quiet_libraries
from quant.graph.qdq import QMIN, TensorScale, add_constant, argument, constant_of, geometry

aten = torch.ops.aten

PIXEL_SCALE = TensorScale(scale=1.0 / 255.0, zero_point=QMIN)
"""On which every pixel of 8 bits is a whole number."""


def pixels(x: torch.Tensor, padding: Sequence[int], mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """What was normalised, as pixels from 0 to 1 again, and padded: an operator of graphs.

    Args:
        x: [N, C, H, W].
        padding: left, right, top, bottom.
        mean: of each channel; padding has its colour.
        std: of each channel.
    """
    middle, spread, colour = (x.new_tensor(v).view(-1, 1, 1) for v in (mean, std, colour_of(mean)))
    colour = colour / 255
    return F.pad(x * spread + (middle - colour), list(padding)) + colour


def colour_of(mean: Sequence[float]) -> list[int]:
    """The pixel nearest to a mean, 0 to 255 where there is one."""
    return [round(255 * channel) for channel in mean]


def readable_stem(graph_module: fx.GraphModule, mean: Sequence[float]) -> fx.Node | None:
    """The convolution that reads the input, where it could read pixels.

    None where something else reads the input too, where padding is wider than a pixel, or has no colour.
    """
    (source,) = (node for node in graph_module.graph.nodes if node.op == "placeholder")
    readers = list(source.users)
    if len(readers) == 1 and readers[0].target is aten.pad.default and _pads_zeros(readers[0]):
        readers = list(readers[0].users)
    if len(readers) != 1 or readers[0].target is not aten.conv2d.default:
        return None
    (stem,) = readers
    held = all(0 <= channel <= 255 for channel in colour_of(mean))
    return stem if held and geometry(stem)[3] == 1 and max(_padding(stem)) <= 1 else None


def fold_normalization(
    graph_module: fx.GraphModule, name: str, mean: Sequence[float], std: Sequence[float]
) -> fx.GraphModule:
    """Let a stem read `pixels`.

    Args:
        graph_module: from `export_graph`; left untouched.
        name: of its `readable_stem`.
        mean: of each channel.
        std: of each channel.

    Returns:
        A float graph that computes the same, but for the rounding of the padding's colour to 8 bits.
    """
    with quiet_libraries():
        graph_module = copy.deepcopy(graph_module)
    graph = graph_module.graph
    (source,), (stem,) = ([n for n in graph.nodes if wanted in (n.op, n.name)] for wanted in ("placeholder", name))
    padding = _padding(stem)
    middle, spread = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (mean, std))
    known = argument(stem, 2, None)
    weight = constant_of(graph_module, stem.args[1]).double() / spread
    bias = (0.0 if known is None else constant_of(graph_module, known).double()) - (weight * middle).sum((1, 2, 3))
    with graph.inserting_before(stem):
        constants = [
            add_constant(graph_module, f"{stem.name}_{kind}_of_pixels", value.float())
            for kind, value in (("weight", weight), ("bias", bias))
        ]
        read = graph.create_node("call_function", pixels, (source, padding, tuple(mean), tuple(std)), name="pixels")
    left, right, top, bottom = padding
    *outer, height, width = source.meta["val"].shape
    read.meta = {key: stem.meta[key] for key in ("nn_module_stack",) if key in stem.meta}
    read.meta["val"] = source.meta["val"].new_empty((*outer, height + top + bottom, width + left + right))
    stride, _, dilation, groups = geometry(stem)
    stem.args = (read, *constants, list(stride), [0, 0], list(dilation), groups)
    graph.eliminate_dead_code()
    graph.lint()
    graph_module.recompile()
    return graph_module


def _pads_zeros(pad: fx.Node) -> bool:
    amounts, mode, fill = pad.args[1], argument(pad, 2, "constant"), argument(pad, 3, None)
    return len(amounts) == 4 and mode == "constant" and not fill  # type: ignore[arg-type]


def _padding(stem: fx.Node) -> tuple[int, int, int, int]:
    """Left, right, top and bottom of a stem and of a pad in front of it, as far as filters reach."""
    source, weight = stem.args[:2]
    assert isinstance(source, fx.Node)
    assert isinstance(weight, fx.Node)
    image, outer = (source.args[:2]) if source.target is aten.pad.default else (source, (0, 0, 0, 0))
    stride, inner, dilation, _ = geometry(stem)
    found = []
    for dim in (1, 0):
        read, kernel, given = (int(node.meta["val"].shape[2 + dim]) for node in (stem, weight, image))  # type: ignore[union-attr]
        before = inner[dim] + int(outer[2 * (1 - dim)])  # type: ignore[index, arg-type]
        reach = (read - 1) * stride[dim] + (kernel - 1) * dilation[dim] + 1
        found += [before, max(0, reach - before - given)]
    return found[0], found[1], found[2], found[3]
