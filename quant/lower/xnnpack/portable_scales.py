"""Scales on which every processor rounds alike: an all-int8 program then gives the same bits everywhere.

XNNPACK's kernels agree between processors but for two. A product of two int8 tensors is scaled in float32 on x86 and
in fixed point on ARM, which differ where the exact result lies within a float's last bit of a half: one in some
hundred thousand values, and each costs a step of int8. And the table of a sigmoid is made with the system's own
`expf`, whose last bit is nobody's promise. Both depend on scales alone, so a scale is moved by a millionth until no
value that can occur is in doubt.

Source: XNNPACK `src/configs/binary-elementwise-config.c`, `src/qs8-vmul/`, `src/microparams-init.c`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import fx

from quant.graph.qdq import DEQUANTIZE, QMAX, QMIN, QUANTIZE, TensorScale, following_quantize, is_int8, tensor_scale
from quant.lower.xnnpack import arithmetic

aten = torch.ops.aten

_STEP = 2.0**-21
"""Relative: a few float32 neighbours."""

_MOST_STEPS = 200
"""One try in three succeeds for a product; none has needed ten."""

_TABLE_MARGIN = 2.0**-12
"""Steps of int8 that a table's entry keeps from a half: sixteen float32 neighbours of 255."""

_SAME_SCALE = (aten.pad.default, aten.flatten.using_ints)
"""Operators that hand their input's scale on."""


def make_scales_portable(converted: fx.GraphModule) -> None:
    """Move activation scales, in place, by as little as it takes.

    Args:
        converted: from `convert_pt2e`, ready to be lowered for XNNPACK.
    """
    for node in converted.graph.nodes:
        if node.op == "call_function" and node.target in _RULES and is_int8(node):
            _RULES[node.target](node)
    converted.recompile()


def fixed_point(products: np.ndarray, scale: float) -> np.ndarray:
    """What ARM's kernel makes of integer products [n]: a 31-bit multiplier, and a shift that rounds half up."""
    bits = int(np.float32(scale).view(np.uint32))
    multiplier = ((bits & 0x007FFFFF) | 0x00800000) << 7
    shift = 126 - (bits >> 23)
    after = max(shift, 1)
    high = (2 * (products.astype(np.int64) << (after - shift)) * multiplier) >> 32
    found: np.ndarray = (high + (1 << (after - 1))) >> after
    return found


def in_float(products: np.ndarray, scale: float) -> np.ndarray:
    """What x86's kernel makes of them: a float32 product, rounded half to even."""
    rounded: np.ndarray = np.rint(products.astype(np.float32) * np.float32(scale)).astype(np.int64)
    return rounded


def rounds_alike(a: TensorScale, b: TensorScale, out: TensorScale) -> bool:
    """Whether both kernels give the same int8 for every pair of int8 values."""
    ends = [(x - a.zero_point) * (y - b.zero_point) for x in (QMIN, QMAX) for y in (QMIN, QMAX)]
    products = np.arange(min(ends), max(ends) + 1)
    scale = arithmetic.product_scale(a.scale, b.scale, out.scale)
    low, high = QMIN - out.zero_point, QMAX - out.zero_point
    return np.array_equal(fixed_point(products, scale).clip(low, high), in_float(products, scale).clip(low, high))


def table_is_clear(source: TensorScale, out: TensorScale) -> bool:
    """Whether no entry of a sigmoid's table is about half-way between two int8 values."""
    steps = torch.arange(QMIN, QMAX + 1, dtype=torch.float64) - source.zero_point
    entries = torch.sigmoid(steps * source.scale) / out.scale
    return bool(((entries - entries.floor() - 0.5).abs() > _TABLE_MARGIN).all())


def _make_product_portable(node: fx.Node) -> None:
    a, b = (tensor_scale(argument) for argument in node.all_input_nodes[:2])
    quantize = following_quantize(node)
    assert quantize is not None
    _move(quantize, lambda scale: rounds_alike(a, b, scale))


def _make_table_portable(node: fx.Node) -> None:
    quantize, out = node.all_input_nodes[0].args[0], following_quantize(node)
    assert isinstance(quantize, fx.Node)
    assert out is not None
    fixed = tensor_scale(out)
    _move(quantize, lambda scale: table_is_clear(scale, fixed))


_RULES: dict[object, Callable[[fx.Node], None]] = {
    aten.mul.Tensor: _make_product_portable,
    aten.sigmoid.default: _make_table_portable,
}


def _move(quantize: fx.Node, holds: Callable[[TensorScale], bool]) -> None:
    """Give a q node the nearest scale that holds; where none does, it keeps its own."""
    known = tensor_scale(quantize)
    for step in (0, *(sign * size for size in range(1, _MOST_STEPS + 1) for sign in (1, -1))):
        candidate = replace(known, scale=known.scale * (1 + step * _STEP))
        if holds(candidate):
            if step:
                _rescale(quantize, candidate.scale)
            return


def _rescale(quantize: fx.Node, scale: float) -> None:
    """Change the scale of a q node, of the dq nodes that read it, and of what has it handed on."""
    quantize.args = (quantize.args[0], scale, *quantize.args[2:])
    for reader in list(quantize.users):
        assert reader.target is DEQUANTIZE
        reader.args = (reader.args[0], scale, *reader.args[2:])
        for user in list(reader.users):
            behind = following_quantize(user) if user.target in _SAME_SCALE else None
            if behind is not None and behind.target is QUANTIZE:
                _rescale(behind, scale)
