import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.outcomes import NO_ACCURACY, photos

from edge_effnet.errors import InputError
from quant.evaluate import Accuracy, Fidelity
from quant.regression import (
    Baseline,
    baseline_json,
    check_max_drop,
    check_min_agreement,
    digest_of,
    judge,
    make_baseline,
    read_baseline,
    require_baseline_file,
)

PHOTOS = photos(250)


def accuracy(top1):
    return Accuracy(top1=top1, top5=1.0, top1_interval=(0.0, 1.0))


def verdict(before, after, *, max_drop=1.0, baseline=None, agreement=1.0):
    fidelity = Fidelity(agreement=agreement, sqnr_db=20.0)
    return judge(accuracy(before), accuracy(after), fidelity, max_drop=max_drop, photographs=10, baseline=baseline)


def unlabelled(agreement, *, max_drop=1.0, baseline=None):
    fidelity = Fidelity(agreement=agreement, sqnr_db=20.0)
    return judge(NO_ACCURACY, NO_ACCURACY, fidelity, max_drop=max_drop, photographs=10, baseline=baseline)


def baseline_of(photographs=PHOTOS, *, top1=0.95, agreement=0.97):
    return Baseline(
        photographs=digest_of(photographs), images=len(photographs), top1=top1, agreement=agreement, sqnr_db=20.0
    )


@pytest.mark.parametrize(
    ("before", "after", "max_drop", "passed"),
    [
        (0.96, 0.96, 0.0, True),
        (0.96, 0.97, 0.0, True),  # better than float is no regression
        (0.96, 0.952, 0.5, False),
        (0.96, 0.952, 0.8, True),  # exactly as much as allowed, on 250 photographs
        (0.96, 0.948, 0.8, False),
        (1.0, 0.0, 100.0, True),
        (1.0, 0.99, 0.0, False),
    ],
)
def test_top1_may_fall_by_as_much_as_allowed_and_no_more(before, after, max_drop, passed):
    assert verdict(before, after, max_drop=max_drop).passed is passed


@given(count=st.integers(1, 5000), data=st.data())
def test_a_drop_of_exactly_the_allowed_photographs_passes_and_one_more_fails(count, data):
    right = data.draw(st.integers(1, count))
    lost = data.draw(st.integers(0, right - 1))
    allowed = 100.0 * lost / count
    assert verdict(right / count, (right - lost) / count, max_drop=allowed).passed
    assert not verdict(right / count, (right - lost - 1) / count, max_drop=allowed).passed


def test_the_reasons_give_the_figures():
    (reason,) = verdict(0.96, 0.916).reasons
    assert reason == "top-1 91.60 % against 96.00 % of float: +4.40 points lost, 1.00 allowed"


def test_without_labels_the_share_of_unchanged_photographs_decides():
    assert unlabelled(0.99).passed and not unlabelled(0.98).passed
    assert unlabelled(0.98).reasons[0].startswith("agreement 98.00 % against 100.00 % of float")


def test_a_baseline_is_a_second_bar():
    bar = baseline_of(top1=0.98)
    assert verdict(0.96, 0.975, baseline=bar).passed
    failed = verdict(0.96, 0.96, baseline=bar)
    assert not failed.passed
    assert failed.reasons == ("top-1 96.00 % against 98.00 % of the baseline: +2.00 points lost, 1.00 allowed",)


def test_a_failure_against_float_is_no_better_for_a_low_baseline():
    assert not verdict(0.96, 0.90, baseline=baseline_of(top1=0.5)).passed


def test_without_labels_the_baselines_agreement_is_the_second_bar():
    bar = baseline_of(photos(250, labelled=False), top1=None, agreement=0.999)
    assert unlabelled(0.99, baseline=bar).passed
    assert not unlabelled(0.985, max_drop=1.4, baseline=replace(bar, agreement=1.0)).passed
    assert not unlabelled(0.985, max_drop=1.0, baseline=bar).passed


@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan"), float("inf")])
def test_a_max_drop_that_is_none_is_refused(value):
    with pytest.raises(InputError, match=r"--max-drop .*: need a number of points from 0 to 100"):
        check_max_drop(value)


@pytest.mark.parametrize("value", [0.0, 0.5, 100.0])
def test_a_max_drop_within_the_range_is_taken(value):
    assert check_max_drop(value) == value


def test_what_is_written_is_what_is_read(tmp_path):
    baseline = make_baseline(PHOTOS, accuracy(0.952), Fidelity(agreement=0.936, sqnr_db=9.5))
    assert baseline == Baseline(photographs=digest_of(PHOTOS), images=250, top1=0.952, agreement=0.936, sqnr_db=9.5)
    (tmp_path / "b.json").write_text(baseline_json(baseline))
    assert read_baseline(tmp_path / "b.json", PHOTOS) == baseline
    assert json.loads(baseline_json(baseline)) == {"schema": 1, **asdict(baseline)}


def test_order_and_names_of_photographs_do_not_matter_but_contents_and_labels_do():
    assert digest_of(PHOTOS) == digest_of([replace(p, name="other") for p in reversed(PHOTOS)])
    assert digest_of(PHOTOS) != digest_of(PHOTOS[1:])
    assert digest_of(PHOTOS) != digest_of([replace(PHOTOS[0], sha256="f" * 64), *PHOTOS[1:]])
    assert digest_of(PHOTOS) != digest_of([replace(PHOTOS[0], label=2), *PHOTOS[1:]])


def refusal(path, photographs=PHOTOS):
    with pytest.raises(InputError) as caught:
        read_baseline(path, photographs)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "--update-baseline" in message
    return message


def test_a_missing_baseline_says_how_to_make_one(tmp_path):
    assert "no such baseline; write one with --update-baseline" in refusal(tmp_path / "absent.json")


def test_a_baseline_of_other_photographs_is_refused(tmp_path):
    (tmp_path / "b.json").write_text(baseline_json(baseline_of()))
    assert "of 250 other photographs or labels than these 249" in refusal(tmp_path / "b.json", PHOTOS[1:])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '"x"',
        "{}",
        "\x00\xff",
        "[" * 100_000,
        '{"schema": 1}',
        '{"schema": 2, "photographs": "", "images": 1, "top1": 1, "agreement": 1, "sqnr_db": 1}',
        '{"schema": 1, "photographs": "", "images": 1, "top1": 1, "agreement": 1, "sqnr_db": 1, "extra": 1}',
        '{"schema": 1, "photographs": "", "images": 1, "top1": 95, "agreement": 1, "sqnr_db": 1}',
        '{"schema": 1, "photographs": "", "images": 1, "top1": -0.1, "agreement": 1, "sqnr_db": 1}',
        '{"schema": 1, "photographs": "", "images": 1, "top1": NaN, "agreement": 1, "sqnr_db": 1}',
        '{"schema": 1, "photographs": "", "images": 1, "top1": "0.9", "agreement": 1, "sqnr_db": 1}',
        '{"schema": 1, "photographs": "", "images": 1, "top1": 0.9, "agreement": null, "sqnr_db": 1}',
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text):
    path = tmp_path / "b.json"
    path.write_text(text, encoding="latin-1")
    assert "not a baseline file" in refusal(path)


def test_a_folder_is_no_baseline(tmp_path):
    assert "not a baseline file" in refusal(tmp_path)


@pytest.mark.parametrize("change", [{"top1": None}, {"images": 3}])
def test_a_baseline_edited_to_compare_nothing_is_refused(tmp_path, change):
    (tmp_path / "b.json").write_text(baseline_json(replace(baseline_of(), **change)))
    assert "it was edited" in refusal(tmp_path / "b.json")


def test_only_a_baseline_or_nothing_is_overwritten(tmp_path):
    require_baseline_file(tmp_path / "new.json")
    (tmp_path / "b.json").write_text(baseline_json(baseline_of()))
    require_baseline_file(tmp_path / "b.json")
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "absent")
    for path in (tmp_path / "thesis.txt", tmp_path, tmp_path / "dangling.json"):
        with pytest.raises(InputError, match="choose another name"):
            require_baseline_file(path)


@pytest.mark.parametrize(
    ("agreement", "sqnr_db", "photographs", "passed"),
    [
        (0.896, 20.0, 250, False),
        (0.90, 8.0, 250, True),
        (0.99, 7.9, 250, False),
        (0.65, 4.0, 19, True),  # too few photographs to say so
    ],
)
def test_a_collapsed_program_fails_whatever_is_allowed(agreement, sqnr_db, photographs, passed):
    found = judge(
        accuracy(0.9),
        accuracy(0.9),
        Fidelity(agreement=agreement, sqnr_db=sqnr_db),
        max_drop=100.0,
        min_agreement=0.0,
        photographs=photographs,
    )
    assert found.passed is passed
    assert passed or "collapsed" in found.reasons[0]


@pytest.mark.parametrize(("agreement", "passed"), [(0.992, True), (0.988, False)])
def test_agreement_may_be_asked_for(agreement, passed):
    fidelity = Fidelity(agreement=agreement, sqnr_db=20.0)
    found = judge(accuracy(0.9), accuracy(0.9), fidelity, max_drop=1.0, min_agreement=0.99, photographs=250)
    assert found.passed is passed
    assert passed or f"agreement {100 * agreement:.2f} %, at least 99.00 wanted" in found.reasons[0]


@pytest.mark.parametrize("percent", [-1.0, 100.5, float("nan")])
def test_agreement_is_a_percentage(percent):
    assert check_min_agreement(None) is None and check_min_agreement(99.0) == pytest.approx(0.99)
    with pytest.raises(InputError, match="--min-agreement"):
        check_min_agreement(percent)
