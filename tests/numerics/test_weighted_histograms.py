"""Samples of activations and the histograms that they fill."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from quant.graph.gradients import run_both_ways, run_forward
from quant.ptq.histograms import (
    BINS,
    CHANNEL_BINS,
    ChannelHistograms,
    WeightedHistograms,
    _means_nearby,
    _silu_extremes,
)


class _Cubed(nn.Module):
    """Logits of which the gradient by the named node, `mul`, is 3 * mul ** 2."""

    def forward(self, x):
        doubled = 2.0 * x
        return (doubled * doubled * doubled).flatten(1)


@pytest.fixture
def histograms():
    return WeightedHistograms(torch.fx.symbolic_trace(_Cubed()), ["mul"], 0.0)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_sample_is_the_same_in_any_order_of_memory(histograms):
    x = normal(2, 24, 56, 56)
    for turn in range(5):
        sample = histograms._sample(x, turn)
        assert np.array_equal(sample, histograms._sample(x.contiguous(memory_format=torch.channels_last), turn))
        assert sample.shape[::2] == (2, 24) and 0.5 * 4096 < sample[0].size <= 1.1 * 4096


@pytest.mark.parametrize("channels", [16, 96, 1152])
@pytest.mark.parametrize("side", [7, 14, 56, 112])
def test_a_sample_meets_every_column_and_in_time_every_position(histograms, channels, side):
    positions = torch.arange(side * side, dtype=torch.float32).view(1, 1, side, side).expand(1, channels, side, side)
    turns = [set(histograms._sample(positions, turn)[0, :, 0].astype(int).tolist()) for turn in range(side * side)]
    assert set().union(*turns) == set(range(side * side))
    assert all(len({place % side for place in seen}) >= min(side, len(seen)) - 1 for seen in turns)


def test_few_positions_of_one_channel_are_all_looked_at(histograms):
    x = normal(3, 10)
    assert np.array_equal(histograms._sample(x, 7)[:, 0], x.numpy())


def test_bins_that_grow_keep_what_they_hold(histograms):
    values = normal(4, 2, 500).numpy()
    parts = [values[0], *(2 * values[1:])]
    for part in parts:
        output = torch.from_numpy(part)[None]
        bins = histograms.bins_of("mul", output, output.numpy())
        counts = np.bincount(bins, minlength=BINS)
        histograms.add("mul", counts, counts)
    centres, weights = histograms.histogram("mul")
    everything = np.stack(parts)
    assert weights.sum() == everything.size
    for power, tolerance in ((1, {"abs": 0.01}), (2, {"rel": 0.01})):
        moment = (centres**power * weights).sum() / weights.sum()
        assert moment == pytest.approx((everything**power).mean(), **tolerance)
    assert histograms.seen["mul"] == (everything.min(), everything.max())


def test_histograms_of_parts_add_up_to_that_of_all(histograms):
    """The other part reaches further, and knows a node that this one has not met."""
    parts = [normal(8, 4, 8, 8), 3 * normal(8, 4, 8, 8, seed=1)]
    others = [WeightedHistograms(histograms.module, ["mul"], 0.0) for _ in range(3)]
    run_both_ways(histograms, parts, seed=0)
    for other, part in zip(others[1:], parts, strict=True):
        run_both_ways(other, [part], seed=0)
        others[0].take(other)
    (centres, expected), (same, found) = (one.histogram("mul") for one in (histograms, others[0]))
    assert others[0].seen == histograms.seen and torch.equal(same, centres)
    assert others[0].energy["mul"] == pytest.approx(histograms.energy["mul"])
    assert (found.cumsum(0) - expected.cumsum(0)).abs().max() < 0.02 * expected.sum()


def test_images_that_only_run_forward_count_with_the_weights_of_the_others(histograms):
    """Without a share of the plain error a weight is the gradient squared: 9 * v ** 4 here, but for its mean."""
    both, forward = normal(16, 4, 8, 8), normal(64, 4, 8, 8, seed=1)
    run_forward(histograms, [forward])
    run_both_ways(histograms, [both], seed=0)
    centres, weights = histograms.histogram("mul")
    expected, _ = np.histogram(2 * torch.cat([forward, both]).numpy(), bins=BINS, range=histograms.seen["mul"])
    expected = expected * centres.numpy() ** 4
    expected /= expected.sum()
    found = (weights / weights.sum()).numpy()
    tail = abs(centres.numpy()) > 4.0
    # Four times as many images know the tail better than those with gradients alone do.
    assert found[tail].sum() == pytest.approx(expected[tail].sum(), rel=0.1)
    assert np.abs(found.cumsum() - expected.cumsum()).max() < 0.03


def test_means_of_scarce_bins_come_from_around_them():
    counts, sums = np.zeros(BINS), np.zeros(BINS)
    counts[100], sums[100] = 10, 30.0
    counts[104], sums[104] = 2, 2.0
    means = _means_nearby(sums, counts)
    assert means[100] == 3.0
    assert means[104] == pytest.approx(32.0 / 12)
    assert means[0] == means[-1] == pytest.approx(32.0 / 12)
    assert (_means_nearby(np.zeros(BINS), np.zeros(BINS)) == 0).all()


def test_each_channel_has_bins_of_its_own():
    peaks = torch.tensor([1.0, 10.0])
    histograms = ChannelHistograms(torch.fx.symbolic_trace(_Cubed()), {"mul": peaks}, 0.0)
    sample = np.array([[[0.5, -10.0], [-0.25, 5.0]]])
    bins = histograms.bins_of("mul", torch.empty(0), sample)
    histograms.add("mul", np.bincount(bins), np.bincount(bins, [1.0, 2.0, 3.0, 4.0], histograms.size_of("mul")))
    centres, weights = histograms.histograms("mul")
    for channel, expected in enumerate(([(0.25, 3.0), (0.5, 1.0)], [(5.0, 4.0), (10.0, 2.0)])):
        held = weights[channel].nonzero().flatten()
        assert weights[channel, held].tolist() == [weight for _, weight in expected]
        half_a_bin = 0.501 * peaks[channel].item() / CHANNEL_BINS
        assert centres[channel, held].tolist() == pytest.approx([value for value, _ in expected], abs=half_a_bin)


@pytest.mark.parametrize(("low", "high"), [(-5.0, 3.0), (-1.0, 2.0), (-6.0, -2.0), (0.5, 4.0), (-2000.0, -1.5)])
def test_silu_reaches_as_far_as_its_input_says(low, high):
    values = nn.functional.silu(torch.linspace(low, high, 100001, dtype=torch.float64))
    assert _silu_extremes(low, high) == pytest.approx((values.min().item(), values.max().item()), abs=1e-6)
