"""Chunks in threads of their own: in their order, and the same sums however many threads there are."""

from __future__ import annotations

import pytest
import torch

from quant.graph.parallel import in_parallel
from quant.ptq.least_squares import Moments


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_of_one_core(threads):
    threads(3)
    weight = torch.ones(1, requires_grad=True)
    seen = list(in_parallel(lambda i: (i, torch.get_num_threads(), (weight * i).requires_grad), range(20)))
    assert seen == [(i, 1, False) for i in range(20)]
    assert torch.get_num_threads() == 3


def test_what_fails_in_a_thread_fails_here(threads):
    threads(2)
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda i: 1 // i, [1, 0, 1]))
    assert torch.get_num_threads() == 2


def test_moments_are_the_same_however_many_threads_there_are(threads):
    chunks = list(torch.randn(9, 24, 500, generator=torch.Generator().manual_seed(0)))
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(Moments().add(chunks, lambda x: (x, x[:5])).sums)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_a_single_item_has_all_threads(threads):
    threads(3)
    assert list(in_parallel(lambda _: torch.get_num_threads(), ["one"])) == [3]
