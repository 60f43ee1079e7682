"""Within `thread_invariant` results do not depend on the threads; outside, ten of these cases do (x86, MKL)."""

import pytest
import torch
from torch.nn import functional as F

from quant.common.thread_invariance import thread_invariant
from quant.qat.filter_gradients import filter_gradients

aten = torch.ops.aten

THREADS = (1, 2, 3, 8)


def drawn(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def covariance(size):
    x = drawn(size, 2 * size, dtype=torch.float64)
    return x @ x.T


def gradient(batch):
    x = drawn(batch, 320, 7, 7).requires_grad_()
    F.conv2d(x, drawn(1280, 320, 1, 1)).sum().backward()
    return x.grad


def normalised(x):
    """Output and gradient of a batch norm in training."""
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    y = F.batch_norm(x, torch.zeros(40), torch.ones(40), torch.ones(40), torch.zeros(40), training=True)
    y.backward(drawn(*y.shape))
    return torch.stack([y.detach(), x.grad])


GEOMETRY = ([1, 1], [1, 1], [1, 1], 32)


def of_filters(gradients):
    v, gradient, weight = drawn(10, 32, 56, 56), drawn(10, 32, 56, 56), drawn(32, 1, 3, 3)
    last = torch.channels_last
    return gradients(gradient.to(memory_format=last), v.to(memory_format=last), weight, GEOMETRY)


CASES = {
    "1x1 convolution": lambda: F.conv2d(drawn(4, 96, 28, 28), drawn(24, 96, 1, 1), drawn(24)),
    "1x1 convolution, strided": lambda: F.conv2d(drawn(4, 96, 28, 28), drawn(24, 96, 1, 1), drawn(24), stride=2),
    "1x1 convolution of one picture": lambda: F.conv2d(drawn(1, 1152, 7, 7), drawn(320, 1152, 1, 1)),
    "1x1 convolution of one small picture": lambda: F.conv2d(drawn(1, 80, 14, 14), drawn(480, 80, 1, 1)),
    "squeeze-excite": lambda: F.conv2d(drawn(4, 1152, 1, 1), drawn(48, 1152, 1, 1)),
    "its gradient": lambda: gradient(4),
    "depthwise": lambda: F.conv2d(drawn(4, 96, 28, 28), drawn(96, 1, 5, 5), groups=96, padding=2),
    "mean": lambda: drawn(16, 96, 3000).mean(),
    "sum": lambda: drawn(16, 96, 3000).sum(),
    "Cholesky": lambda: torch.linalg.cholesky_ex(covariance(480)).L,
    "triangular": lambda: torch.linalg.solve_triangular(covariance(480).tril(), covariance(480)[:, :80], upper=False),
    "small product": lambda: drawn(6, 16) @ drawn(16, 64),
    "small product of doubles": lambda: drawn(6, 64, dtype=torch.float64) @ drawn(64, 16, dtype=torch.float64),
    "large product": lambda: drawn(480, 3136) @ drawn(480, 3136).T,
    "product of many rows": lambda: drawn(480, 320) @ drawn(320, 100),
    "product of many columns": lambda: drawn(5, 1280) @ drawn(1280, 500),
    "product of doubles": lambda: drawn(26, 1280, dtype=torch.float64) @ drawn(1280, 100, dtype=torch.float64),
    "classifier": lambda: F.linear(drawn(5, 1280), drawn(500, 1280), drawn(500)),
    "classifier of three classes": lambda: F.linear(drawn(250, 1280), drawn(3, 1280), drawn(3)),
    "dot product": lambda: torch.dot(drawn(260352), drawn(260352)),
    "SiLU": lambda: F.silu(drawn(1, 13, 173, 173)),
    "SiLU, channels last": lambda: F.silu(drawn(3, 13, 173, 173).contiguous(memory_format=torch.channels_last)),
    "SiLU in place": lambda: F.silu(drawn(1300001), inplace=True),
    "SiLU of every other value": lambda: F.silu(drawn(2600002)[::2]),
    "its gradient, dense": lambda: aten.silu_backward(drawn(1300001), drawn(1300001)),
    "its gradient, of a sum": lambda: aten.silu_backward(drawn(1).expand(1300001), drawn(1300001)),
    "sigmoid": lambda: torch.sigmoid(drawn(1300001)),
    "sigmoid in place": lambda: drawn(1300001).sigmoid_(),
    "batch statistics": lambda: normalised(drawn(8, 40, 12, 12)),
    "gradient of filters": lambda: of_filters(filter_gradients),
}


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", CASES)
def test_operators_give_the_same_bits_on_any_number_of_threads(case, threads):
    found = []
    for count in THREADS:
        threads(count)
        with thread_invariant():
            found.append(CASES[case]())
        assert torch.get_num_threads() == count
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("case", CASES)
def test_the_value_is_the_operators_own(case):
    plain = CASES[case]()
    with thread_invariant():
        torch.testing.assert_close(CASES[case](), plain, rtol=1e-4, atol=1e-4)


def test_threads_are_given_back_after_an_error(threads):
    threads(3)
    with thread_invariant(), pytest.raises(RuntimeError):
        torch.linalg.solve_triangular(torch.eye(3), torch.ones(2, 2), upper=True)
    assert torch.get_num_threads() == 3


def test_gradients_of_filters_are_torchs():
    def plain(gradient, v, weight, geometry):
        stride, padding, dilation, groups = geometry
        return torch.nn.grad.conv2d_weight(v, weight.shape, gradient, stride, padding, dilation, groups)

    torch.testing.assert_close(of_filters(filter_gradients), of_filters(plain), rtol=1e-4, atol=1e-3)
