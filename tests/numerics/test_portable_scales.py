"""Scales on which x86 and ARM round alike (quant/lower/xnnpack/portable_scales.py)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quant.graph.qdq import QUANTIZE, TensorScale, is_int8, tensor_scale
from quant.lower.xnnpack import portable_scales as settle
from tests.support.exports import exported
from tests.support.networks import images
from tests.support.ptq import quantized

aten = torch.ops.aten

SIZE = 64


def test_a_product_that_the_kernels_round_apart():
    # Seen on B0: 146 x 87 steps; x86 gave 162 and cortex-a76 161.
    a, b = TensorScale(0.03650176525115967, -120), TensorScale(0.00390625, -128)
    out = TensorScale(0.011214333586394787, -106)
    scale = settle.arithmetic.product_scale(a.scale, b.scale, out.scale)
    product = np.array([146 * 87])
    assert (settle.in_float(product, scale), settle.fixed_point(product, scale)) == (162, 161)
    assert not settle.rounds_alike(a, b, out)


@given(st.floats(2.0**-16, 2.0**7), st.integers(-65025, 65025))
def test_fixed_point_is_the_product_rounded_half_up(scale, product):
    exact = product * float(np.float32(scale))
    found = int(settle.fixed_point(np.array([product]), scale)[0])
    assert abs(found - exact) <= 0.5 + 2**-8


def test_scales_of_a_network_are_settled_by_millionths():
    converted = quantized(exported("b0", SIZE), [images(4, SIZE, seed=2)], "int8-minmax").converted
    before = {node.name: tensor_scale(node) for node in converted.graph.nodes if node.target is QUANTIZE}
    settle.make_scales_portable(converted)
    for node in converted.graph.nodes:
        if node.target not in (aten.mul.Tensor, aten.sigmoid.default) or not is_int8(node):
            continue
        scales = [tensor_scale(argument) for argument in node.all_input_nodes]
        out = tensor_scale(next(iter(node.users)))
        if node.target is aten.mul.Tensor:
            assert settle.rounds_alike(*scales, out), node.name
        else:
            assert settle.table_is_clear(scales[0], out), node.name
    after = {node.name: tensor_scale(node) for node in converted.graph.nodes if node.target is QUANTIZE}
    moved = [name for name in before if before[name] != after[name]]
    assert moved
    assert all(after[name].scale == pytest.approx(before[name].scale, rel=1e-4) for name in moved)
    for node in converted.graph.nodes:
        if node.target is QUANTIZE:
            assert all(tensor_scale(reader) == tensor_scale(node) for reader in node.users)
