import math

import pytest
import torch

from quant.metrics.evaluate import NO_ACCURACY, fidelity
from quant.metrics.margins import expected_loss, fitted_temperature, margin_classes, paired
from quant.verdict.limits import Limits
from quant.verdict.verdict import Changes, compare, paired_sentence

LIMITS = Limits(max_drop=1.0, min_agreement=None, baseline=None)


def logits_of(*probabilities):
    return torch.tensor(probabilities).log()


def answers(count, close, sure):
    """Float of two classes, sure but for `close` images; the .pte changes these, and `sure` of the others."""
    reference = logits_of([0.9, 0.1]).repeat(count, 1)
    reference[:close] = logits_of([0.51, 0.49])
    other = reference.clone()
    other[: close + sure] = other[: close + sure].flip(1)
    return reference, other


def test_a_change_costs_what_float_gave_its_class_more_than_the_new_one():
    reference, other = answers(100, 2, 1)
    assert expected_loss(reference, other).share == pytest.approx((0.02 + 0.02 + 0.8) / 100, abs=1e-6)
    low, high = expected_loss(reference, other).interval
    assert 0.0 <= low < 0.0084 < high < 0.03
    assert expected_loss(reference, other, temperature=10.0).share < 0.0084
    assert expected_loss(reference, reference).interval[1] < expected_loss(reference[:10], reference[:10]).interval[1]


def test_margins_count_the_images_that_float_is_so_sure_of():
    rows = margin_classes(*answers(100, 5, 1))
    assert [(row.at_least, row.images, row.kept) for row in rows] == [
        (margin, 95, 94) for margin in (0.05, 0.1, 0.2, 0.5)
    ]


def test_lost_and_won_are_told_apart_exactly():
    reference = torch.eye(2)[torch.tensor([0] * 7 + [1] * 3 + [0] * 690)]
    other = torch.eye(2)[torch.tensor([1] * 7 + [0] * 3 + [0] * 690)]
    found = paired(reference, other, torch.zeros(700, dtype=torch.int64))
    assert (found.lost, found.won, found.told) == (7, 3, False)
    assert found.chance == pytest.approx(2 * sum(math.comb(10, k) for k in (7, 8, 9, 10)) / 1024)
    assert paired_sentence(found, (-0.003, 0.015)) == (
        "lost 7, won 3 of 700 images, 95 % interval -1.5 to +0.3: no significant change"
    )


def test_a_temperature_is_found_on_labelled_images():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert fitted_temperature(logits, labels) == 1.0 and fitted_temperature(4 * logits, labels) == 4.0


@pytest.mark.parametrize(
    ("close", "sure", "codes"),
    [
        (40, 0, []),  # 4 % change class, all of them between classes that float cannot tell apart
        (0, 11, ["sure-images-changed"]),
        (0, 13, ["accuracy-drop", "sure-images-changed"]),
    ],
)
def test_without_labels_what_float_is_sure_of_decides(close, sure, codes):
    reference, other = answers(1000, close, sure)
    changes = Changes.of(reference, other, None)
    found = compare(NO_ACCURACY, NO_ACCURACY, fidelity(reference, other), LIMITS, images=1000, changes=changes)
    assert [failure.code for failure in found.failures] == codes


def test_where_float_is_never_sure_every_change_counts():
    """A network whose probabilities are all alike would otherwise lose nothing whatever becomes of it."""
    reference, other = answers(1000, 1000, 0)
    other[20:] = reference[20:]
    changes = Changes.of(reference, other, None)
    found = compare(NO_ACCURACY, NO_ACCURACY, fidelity(reference, other), LIMITS, images=1000, changes=changes)
    assert [failure.code for failure in found.failures] == ["accuracy-drop"]
    assert "agreement 98.0 % (float 100.0 %): -2.0 points, limit -1.0" in found.failures[0].message
