"""Within `thread_invariant` results do not depend on the threads; outside, ten of these cases do (x86, MKL)."""

import pytest
import torch
from torch.nn import functional as F

from quant.thread_invariance import thread_invariant

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
