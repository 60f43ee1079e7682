from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_effnet.errors import InputError
from quant.metrics.evaluate import NO_ACCURACY, Fidelity
from quant.metrics.tasks.classes import CLASSES
from quant.verdict.limits import Limits, asked_limits, require_limits
from quant.verdict.verdict import compare, decide
from tests.support.baselines import accuracy, baseline_of
from tests.support.outcomes import images


def judge(before, after, fidelity, *, max_drop, images, min_agreement=None, baseline=None, errors=()):
    limits = Limits(max_drop=max_drop, min_agreement=min_agreement, baseline=baseline)
    return decide(errors, compare(before, after, fidelity, limits, images=images))


def verdict(before, after, *, max_drop=1.0, baseline=None, agreement=1.0):
    fidelity = Fidelity(agreement=agreement, sqnr_db=20.0)
    return judge(accuracy(before), accuracy(after), fidelity, max_drop=max_drop, images=10, baseline=baseline)


def unlabelled(agreement, *, max_drop=1.0, baseline=None):
    fidelity = Fidelity(agreement=agreement, sqnr_db=20.0)
    return judge(NO_ACCURACY, NO_ACCURACY, fidelity, max_drop=max_drop, images=10, baseline=baseline)


@pytest.mark.parametrize(
    ("before", "after", "max_drop", "passed"),
    [
        (0.96, 0.96, 0.0, True),
        (0.96, 0.97, 0.0, True),  # better than float is no regression
        (0.96, 0.952, 0.5, False),
        (0.96, 0.952, 0.8, True),  # exactly as much as allowed, on 250 images
        (0.96, 0.948, 0.8, False),
        (1.0, 0.0, 100.0, True),
        (1.0, 0.99, 0.0, False),
    ],
)
def test_top1_may_fall_by_as_much_as_allowed_and_no_more(before, after, max_drop, passed):
    assert verdict(before, after, max_drop=max_drop).passed is passed


@given(count=st.integers(1, 5000), data=st.data())
def test_a_drop_of_exactly_the_allowed_images_passes_and_one_more_fails(count, data):
    right = data.draw(st.integers(1, count))
    lost = data.draw(st.integers(0, right - 1))
    allowed = 100.0 * lost / count
    assert verdict(right / count, (right - lost) / count, max_drop=allowed).passed
    assert not verdict(right / count, (right - lost - 1) / count, max_drop=allowed).passed


def test_the_reasons_give_the_figures():
    (reason,) = verdict(0.96, 0.916).reasons
    assert reason == "top-1 91.6 % (float 96.0 %): -4.4 points, limit -1.0"


def test_without_labels_the_share_of_unchanged_images_decides():
    assert unlabelled(0.99).passed and not unlabelled(0.98).passed
    assert unlabelled(0.98).reasons[0] == "agreement 98.0 % (float 100.0 %): -2.0 points, limit -1.0"


def test_a_baseline_is_a_second_bar():
    bar = baseline_of(top1=0.98)
    assert verdict(0.96, 0.975, baseline=bar).passed
    failed = verdict(0.96, 0.96, baseline=bar)
    assert not failed.passed
    assert failed.reasons == ("top-1 96.0 % (the baseline 98.0 %): -2.0 points, limit -1.0",)


def test_a_failure_against_float_is_no_better_for_a_low_baseline():
    assert not verdict(0.96, 0.90, baseline=baseline_of(top1=0.5)).passed


def test_without_labels_the_baselines_agreement_is_the_second_bar():
    bar = baseline_of(images(250, labelled=False), top1=None, agreement=0.999)
    assert unlabelled(0.99, baseline=bar).passed
    assert not unlabelled(0.985, max_drop=1.4, baseline=replace(bar, agreement=1.0)).passed
    assert not unlabelled(0.985, max_drop=1.0, baseline=bar).passed


@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan"), float("inf")])
def test_a_max_drop_that_is_none_is_refused(value):
    with pytest.raises(InputError, match=r"--max-drop .*: need a number of points from 0 to 100"):
        require_limits(value, None)


@pytest.mark.parametrize("value", [0.0, 0.5, 100.0])
def test_a_max_drop_within_the_range_is_taken(value):
    require_limits(value, None)
    assert asked_limits(CLASSES, value, None).max_drop == value


@pytest.mark.parametrize(
    ("agreement", "sqnr_db", "images", "passed"),
    [
        (0.896, 20.0, 250, False),
        (0.90, 8.0, 250, True),
        (0.99, 7.9, 250, False),
        (0.65, 4.0, 19, True),  # too few images to say so
    ],
)
def test_a_collapsed_program_fails_whatever_is_allowed(agreement, sqnr_db, images, passed):
    found = judge(
        accuracy(0.9),
        accuracy(0.9),
        Fidelity(agreement=agreement, sqnr_db=sqnr_db),
        max_drop=100.0,
        min_agreement=0.0,
        images=images,
    )
    assert found.passed is passed
    assert passed or "collapsed" in found.reasons[0]


@pytest.mark.parametrize(("agreement", "passed"), [(0.992, True), (0.988, False)])
def test_agreement_may_be_asked_for(agreement, passed):
    fidelity = Fidelity(agreement=agreement, sqnr_db=20.0)
    found = judge(accuracy(0.9), accuracy(0.9), fidelity, max_drop=1.0, min_agreement=0.99, images=250)
    assert found.passed is passed
    assert passed or f"agreement {100 * agreement:.1f} %, at least 99.0 wanted" in found.reasons[0]


@pytest.mark.parametrize("percent", [-1.0, 100.5, float("nan")])
def test_agreement_is_a_percentage(percent):
    require_limits(None, None)
    assert asked_limits(CLASSES, None, None).min_agreement is None
    assert asked_limits(CLASSES, None, 99.0).min_agreement == pytest.approx(0.99)
    with pytest.raises(InputError, match="--min-agreement"):
        require_limits(None, percent)
