"""The mean's rounding, where the order of three float32 operations decides it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx

from quant.graph.qdq import DEQUANTIZE, QMAX, QMIN, QUANTIZE, TensorScale
from quant.lower.xnnpack import arithmetic
from quant.lower.xnnpack.lower import lower_xnnpack
from tests.support.warm import run_program

aten = torch.ops.aten

# Scales and sums for which a zero point that is scaled before it is summed rounds the other way. The first was met in
# a B3: one image's logits moved by half their range.
CASES = [
    (16, TensorScale(0.044425517320632935, -122), TensorScale(0.017512381076812744, -112), [-29466]),
    (14, TensorScale(0.00558000011369586, -107), TensorScale(0.004360000137239695, -84), [392]),
    (7, TensorScale(0.03994999825954437, -31), TensorScale(0.02214200049638748, -110), [-1777]),
    (112, TensorScale(0.010929999873042107, -21), TensorScale(0.008283999748528004, -50), [482897]),
    (112, TensorScale(0.0148000, -70), TensorScale(0.00337, 42), [-1302241, -1244, -839520, 38, -642435]),
]


def _mean_of(source: TensorScale, out: TensorScale) -> fx.GraphModule:
    graph = fx.Graph()
    value = graph.placeholder("x")
    for operator, scale in ((None, source), ((aten.mean.dim, [2, 3], True), out)):
        if operator is not None:
            value = graph.call_function(operator[0], (value, *operator[1:]))
        for step in (QUANTIZE, DEQUANTIZE):
            value = graph.call_function(step, (value, scale.scale, scale.zero_point, QMIN, QMAX, torch.int8))
    graph.output((value,))
    return fx.GraphModule(torch.nn.Module(), graph)


def _with_sums(sums: list[int], size: int) -> torch.Tensor:
    """Whole numbers of int8, [1, channels, size, size], whose sums are given."""
    each, left = np.divmod(np.array(sums), size * size)
    values = np.repeat(each[:, None], size * size, axis=1)
    values[np.arange(size * size) < left[:, None]] += 1
    return torch.from_numpy(values.reshape(1, len(sums), size, size)).float()


@pytest.mark.parametrize(("size", "source", "out", "sums"), CASES)
def test_a_mean_that_is_nearly_half_way(tmp_path, size, source, out, sums):
    integers = _with_sums(sums, size)
    module = _mean_of(source, out)
    data = lower_xnnpack(module, tuple(integers.shape)).data
    found = run_program(tmp_path, data, arithmetic.dequantize(integers, source.scale, source.zero_point))
    expected = arithmetic.pool(integers, source.scale, source.zero_point, out.scale, out.zero_point)
    assert torch.equal(arithmetic.quantize(found, out.scale, out.zero_point).flatten(), expected.flatten())
