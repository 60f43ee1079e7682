import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quant.metrics import metrics

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0], [1.0, 2.0, 3.0], [9.0, 8.0, 7.0]])
LABELS = torch.tensor([0, 2, 2, 2])


@pytest.mark.parametrize(("k", "expected"), [(1, 0.5), (2, 0.75), (3, 1.0), (5, 1.0)])
def test_topk_accuracy_counts_labels_among_the_k_largest(k, expected):
    assert metrics.topk_accuracy(LOGITS, LABELS, k) == expected


def test_agreement_and_flips_tell_which_images_changed_class():
    other = LOGITS.clone()
    other[1] = torch.tensor([0.0, 4.0, 5.0])
    other[3] = torch.tensor([7.0, 8.0, 7.0])
    assert metrics.agreement(LOGITS, other) == 0.5
    assert metrics.flips(LOGITS, other) == [1, 3]
    assert metrics.flips(LOGITS, LOGITS + 1) == []


@pytest.mark.parametrize(
    ("value", "limit", "images", "least", "digits"),
    [
        (1.35, 1.0, 250, False, 1),
        (1.35, 1.0, 2000, False, 2),
        (1.35, 1.0, None, False, 2),
        (1.04, 1.0, 250, False, 2),  # 1.0 would look like no more than allowed
        (0.4, 0.25, 250, False, 2),  # and 0.2 like another limit
        (98.97, 99.0, 250, True, 2),
        (99.03, 99.0, 250, True, 1),
        (1.0000001, 1.0, 250, False, 4),
    ],
)
def test_decimals_are_those_that_the_images_carry_or_more_where_a_limit_needs_them(
    value, limit, images, least, digits
):
    assert metrics.telling_decimals(value, limit, images, least=least) == digits


@pytest.mark.parametrize("db", [-6.0, 9.5, 40.0, 120.0])
def test_sqnr_is_that_of_noise_of_known_power(db):
    reference = torch.tensor([[1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)
    noise = 10 ** (-db / 20)
    assert metrics.sqnr_db(reference, reference + noise) == pytest.approx(db, abs=1e-6)


def test_sqnr_is_infinite_for_equal_tensors_and_for_no_signal():
    x = torch.randn(4, 3)
    assert metrics.sqnr_db(x, x.clone()) == math.inf
    assert metrics.sqnr_db(torch.zeros(2), torch.ones(2)) == -math.inf


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_equals_published_examples(hits, count, low, high):
    assert metrics.wilson_interval(hits / count, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_of_nothing_is_everything():
    assert metrics.wilson_interval(0.0, 0) == (0.0, 1.0)


@given(count=st.integers(1, 2000), data=st.data())
def test_wilson_interval_holds_the_share_and_stays_a_share(count, data):
    share = data.draw(st.integers(0, count)) / count
    low, high = metrics.wilson_interval(share, count)
    assert 0.0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1.0


def paired(lost: int, won: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two sets of logits over `count` images of class 0, of which `lost` and `won` differ."""
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    reference = torch.stack([right] * lost + [wrong] * won + [right] * (count - lost - won))
    other = torch.stack([wrong] * lost + [right] * won + [right] * (count - lost - won))
    return reference, other, torch.zeros(count, dtype=torch.int64)


@pytest.mark.parametrize(
    ("lost", "won", "count", "low", "high"),
    [
        # Agresti, Categorical Data Analysis, 2nd ed., 10.1.3: approval ratings, published with three decimals.
        (150, 86, 1600, 0.021, 0.059),
        # By hand from diffpropci(b, c, n), Agresti's own code of Wald+2:
        # 8 / 23 -+ 1.96 * sqrt(9 - 8^2 / 23) / 23, and 0 -+ 1.96 * sqrt(1) / 252.
        (8, 0, 21, 0.1353, 0.5603),
        (0, 0, 250, -0.0078, 0.0078),
    ],
)
def test_paired_drop_interval_equals_published_examples(lost, won, count, low, high):
    assert metrics.paired_drop_interval(*paired(lost, won, count)) == pytest.approx((low, high), abs=5e-4)


def test_paired_drop_interval_turns_its_sign_with_the_direction_and_never_leaves_minus_one_to_one():
    low, high = metrics.paired_drop_interval(*paired(5, 2, 40))
    assert metrics.paired_drop_interval(*paired(2, 5, 40)) == pytest.approx((-high, -low))
    assert metrics.paired_drop_interval(*paired(1, 0, 1))[1] == 1.0


@pytest.mark.parametrize("count", [1, 5, 12, 50, 51, 128])
def test_signed_rank_test_is_scipys(count):
    stats = pytest.importorskip("scipy.stats")
    gains = torch.randn(count, generator=torch.Generator().manual_seed(count)) + 0.3
    expected = stats.wilcoxon(gains.numpy(), alternative="greater", method="exact" if count <= 50 else "asymptotic")
    assert metrics.signed_rank_test(gains) == pytest.approx(float(expected.pvalue), rel=0.02)


def test_signed_rank_test_knows_nothing_without_gains():
    assert metrics.signed_rank_test(torch.zeros(20)) == 1.0
    assert metrics.signed_rank_test(torch.tensor([1.0] * 3 + [0.0] * 9)) == 1 / 8


def test_top1_breaks_ties_as_the_answer_does():
    """int8 logits tie: top-1, agreement and what is lost and won have to speak of the same answers."""
    logits = torch.zeros(64, 10)
    logits[torch.arange(64), torch.arange(64) % 9] = logits[torch.arange(64), 9] = 1.0
    assert metrics.topk_accuracy(logits, logits.argmax(dim=1), 1) == 1.0
