"""The network that is trained is the program, to the bit, wherever its parameters are; gradients are what rounding
passed straight through gives."""

from __future__ import annotations

import pytest
import torch

from quant.lower.xnnpack.lower import lower_xnnpack
from quant.qat import operators
from quant.qat.network import trainable, write_back
from tests.support.exports import exported
from tests.support.networks import images
from tests.support.ptq import quantized
from tests.support.warm import run_program

SIZE = 64


@pytest.mark.parametrize(
    ("variant", "activation", "padding"),
    [("b0", "swish", "symmetric"), ("b0", "hardswish", "same"), ("lite0", "relu6", "same")],
)
def test_trained_network_equals_its_program_bit_for_bit(tmp_path, variant, activation, padding):
    graph = exported(variant, SIZE, activation=activation, padding=padding)
    inputs, seen = images(4, SIZE, seed=1), images(4, SIZE, seed=2)
    converted = quantized(graph, [seen]).converted
    network = trainable(converted)
    generator = torch.Generator().manual_seed(3)
    before = network.module(inputs).detach()
    with torch.no_grad():
        for parameter in network.module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
        expected = network.module(inputs)
    assert not torch.equal(before, expected), "the parameters must matter"
    write_back(network, network.module, converted)
    found = run_program(tmp_path, lower_xnnpack(converted, (1, 3, SIZE, SIZE)).data, inputs)
    assert found.std(dim=0).mean() > 0, "the outputs have to depend on the images"
    assert torch.equal(found, expected)


def _lsq(x, scale, zero):
    """Learned step size and offset as the papers define them, by autograd through a rounding passed straight."""
    scaled = x / scale + zero
    rounded = scaled + (scaled.round() - scaled).detach()
    return (rounded.clamp(-128, 127) - zero) * scale


@pytest.mark.parametrize("shape", [(3, 5, 4, 4), (6, 7)])
def test_gradients_of_step_size_and_offset_are_those_of_lsq_plus(shape):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(shape, generator=generator)
    weight = torch.randn(shape, generator=generator)
    found, expected = [], []
    for function, gradients in ((_lsq, expected), (None, found)):
        leaves = [
            x.clone().requires_grad_(),
            torch.tensor(0.02).requires_grad_(),
            torch.tensor(-30.0).requires_grad_(),
        ]
        if function is None:
            result = operators.dequantize(operators.quantize(*leaves), leaves[1])
        else:
            result = function(*leaves)
        (result * weight).sum().backward()
        gradients += [leaf.grad for leaf in leaves]
        assert ((x / 0.02 - 30).abs() > 128).any(), "some values have to saturate"
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_gradient_of_silu_is_the_float_functions_where_nothing_saturates():
    v = torch.arange(-100.0, 101.0).view(1, -1).requires_grad_()
    source, scale = (torch.tensor(s).requires_grad_() for s in (0.05, 0.06))
    zero = torch.tensor(-100.0)
    (operators.silu(v, source, scale, zero, operators.NO_LIMITS) * scale).sum().backward()
    x = (torch.arange(-100.0, 101.0) * 0.05).requires_grad_()
    torch.nn.functional.silu(x).sum().backward()
    torch.testing.assert_close(v.grad.flatten(), x.grad * 0.05, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(source.grad, (x.grad * v.detach().flatten()).sum(), rtol=1e-3, atol=1e-2)


def _plain(scaled, zero):
    """Requantization by autograd alone, its rounding passed straight."""
    steps = scaled + (scaled.round() - scaled).detach()
    return (steps + zero).clamp(-128, 127) - zero


def _gradients(function, values):
    leaves = [value.clone().requires_grad_() for value in values]
    result = function(*leaves)
    assert (result.abs() > 100).any(), "some values have to saturate"
    (result * torch.linspace(-1, 2, result.numel()).view_as(result)).sum().backward()
    return [result.detach(), *(leaf.grad for leaf in leaves)]


def _whole_numbers(*shapes):
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(-100, 101, shape, generator=generator).float() for shape in shapes]


@pytest.mark.parametrize("gate", [(3, 4, 1, 1), (3, 4, 5, 5)])
def test_gradients_of_a_product_are_those_of_plain_autograd(gate):
    def plain(a, a_scale, b, b_scale, scale, zero):
        return _plain(a * b * (a_scale * b_scale / scale), zero)

    a, b = _whole_numbers((3, 4, 5, 5), gate)
    values = [a, torch.tensor(0.02), b, torch.tensor(0.03), torch.tensor(0.04), torch.tensor(-20.0)]
    expected = _gradients(plain, values)
    for swapped in (False, True):
        order = [2, 3, 0, 1, 4, 5] if swapped else range(6)
        found = _gradients(
            lambda *x: operators.multiply(*x, operators.NO_LIMITS), [values[i] for i in order]
        )  # fmt: skip
        for ours, theirs in zip(found[1:], [expected[1 + i] for i in order], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-2)
        assert torch.equal(found[0], expected[0])


@pytest.mark.parametrize("groups", [1, 4])
def test_gradients_of_a_convolution_are_those_of_plain_autograd(groups):
    geometry = ([1, 1], [1, 1], [1, 1], groups)

    def plain(v, source, weight, weight_scale, bias, scale, zero):
        steps = bias / (weight_scale * source)
        sums = torch.nn.functional.conv2d(v, weight, steps + (steps.round() - steps).detach(), *geometry)
        return _plain(sums * (source * weight_scale / scale).view(-1, 1, 1), zero)

    v, weight, bias = _whole_numbers((3, 4, 5, 5), (8, 4 // groups, 3, 3), (8,))
    scales = torch.tensor(0.02), torch.linspace(0.01, 0.02, 8), torch.tensor(0.1)
    values = [v, scales[0], weight, scales[1], bias / 100, scales[2], torch.tensor(-20.0)]
    expected = _gradients(plain, values)
    found = _gradients(lambda *x: operators.convolve(*x, operators.NO_LIMITS, geometry, torch.float32, None), values)
    assert torch.equal(found[0], expected[0])
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-1)
