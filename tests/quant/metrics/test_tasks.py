"""Figures of tasks besides one of several classes, against values worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from edge_effnet import InputError
from quant.metrics.tasks.classes import BINARY, auc
from quant.metrics.tasks.embedding import EMBEDDING, nearest
from quant.metrics.tasks.multilabel import MULTILABEL, average_precision, f1
from quant.metrics.tasks.regression import REGRESSION, correlation, explained
from quant.metrics.tasks.table import TASKS, find_task, task_of
from quant.metrics.tasks.task import PerImage
from tests.support.outcomes import images


def test_average_precision_is_the_area_under_the_steps():
    scores, positive = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([True, False, True, False])
    assert average_precision(scores, positive) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision(torch.zeros(4), positive) == pytest.approx(0.5)  # one threshold for all
    assert average_precision(scores, torch.zeros(4, dtype=torch.bool)) is None


def test_auc_counts_pairs_and_half_of_ties():
    positive = torch.tensor([True, True, False, False])
    assert auc(torch.tensor([3.0, 1.0, 2.0, 1.0]), positive) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert auc(torch.arange(4.0), torch.ones(4, dtype=torch.bool)) is None


def test_f1_of_nothing_said_and_nothing_there_is_whole():
    none = torch.zeros(3, 2, dtype=torch.bool)
    assert f1(none, none) == 1.0
    assert f1(torch.tensor([True, True]), torch.tensor([True, False])) == pytest.approx(2 / 3)


def test_lost_f1_is_the_difference_of_the_two_whatever_the_interval():
    torch.manual_seed(1)
    reference, targets = torch.randn(80, 5), (torch.randn(80, 5) > 0.5).double()
    other = reference + 0.4 * torch.randn(80, 5)
    before, after = (MULTILABEL.accuracy(found, targets).more["f1"] for found in (reference, other))
    found = MULTILABEL.per_image(reference, other, targets)
    assert found.share == pytest.approx(before - after)
    low, high = found.interval()
    assert low < found.share < high and math.isclose(low + high, 2 * found.share * 80 / 82, abs_tol=1e-9)


def test_a_label_that_float_is_unsure_of_costs_less():
    reference = torch.tensor([[4.0, -4.0], [0.1, -4.0]])
    sure, unsure = (MULTILABEL.per_image(reference, reference * torch.tensor(signs), None)
                    for signs in ([[-1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [-1.0, 1.0]]))  # fmt: skip
    assert sure.share > 5 * unsure.share > 0
    assert sure.sure.tolist() == [False, True] and unsure.sure.all()
    assert sure.drop == 0.5 and unsure.drop == unsure.share


def test_agreement_on_labels_hides_what_agreement_on_sets_shows():
    reference = -3.0 * torch.ones(100, 20)
    reference[:, 0] = 3.0
    other = reference.clone()
    other[:24, 1] = 3.0
    found = MULTILABEL.fidelity(reference, other)
    assert found.more["label_agreement"] == pytest.approx(1 - 24 / 2000) and found.agreement == pytest.approx(0.76)


def test_r2_and_correlation_of_each_number():
    wanted = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], dtype=torch.float64)
    off = torch.stack([wanted[:, 0] + 5.0, 2.0 * wanted[:, 1]], dim=1)
    assert correlation(off, wanted).tolist() == pytest.approx([1.0, 1.0])
    variance = 2 / 3
    assert explained(off, wanted)[0].item() == pytest.approx(1 - 25 / variance)


def test_noise_of_a_tenth_deviation_costs_a_point_of_r2():
    torch.manual_seed(0)
    reference = 40.0 + 7.0 * torch.randn(4000, 1)
    other = reference + 0.7 * torch.randn(4000, 1)
    found = REGRESSION.per_image(reference, other, None)
    assert found.share == pytest.approx(0.01, rel=0.1)
    assert REGRESSION.fidelity(reference, other).sqnr_db == pytest.approx(20.0, abs=0.5)  # the mean is no signal


def test_neighbours_are_others_and_cosines_know_no_length():
    features = torch.tensor([[1.0, 0.0], [5.0, 0.5], [0.0, 1.0], [0.1, 2.0]])
    assert nearest(features, 1)[0][:, 0].tolist() == [1, 0, 3, 2]
    assert EMBEDDING.fidelity(features, 3.0 * features).more["cosine"] == pytest.approx(1.0)
    assert EMBEDDING.accuracy(features, torch.tensor([0, 0, 1, 0])).more["class_at_1"] == 0.5


def test_chunks_of_neighbours_are_as_the_whole(monkeypatch):
    torch.manual_seed(0)
    features = torch.randn(37, 8)
    whole = nearest(features, 5)
    monkeypatch.setattr("quant.metrics.tasks.embedding._CHUNK", 10)
    assert all(torch.equal(a, b) or torch.allclose(a, b) for a, b in zip(whole, nearest(features, 5), strict=True))


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_the_view_puts_the_threshold_at_even_odds(threshold):
    for task in (BINARY.with_threshold(threshold), MULTILABEL.with_threshold(threshold)):
        logits = torch.tensor([[math.log(threshold / (1 - threshold)) + each] for each in (-0.1, 0.1)])
        viewed = task.view(logits)
        assert (viewed[:, -1] > 0).tolist() == [False, True]
        torch.testing.assert_close(task.logits(viewed), logits)
    assert BINARY.view(torch.tensor([[2.0]])).tolist() == [[0.0, 2.0]]


def test_targets_are_those_of_all_images_or_none():
    with_numbers = [replace(image, targets=(1.0, 0.0)) for image in images(3)]
    assert MULTILABEL.targets_of(with_numbers).shape == (3, 2)
    assert MULTILABEL.targets_of([*with_numbers, *images(1)]) is None
    assert BINARY.targets_of(images(3)).tolist() == [0, 1, 2]
    assert EMBEDDING.targets_of(images(4)).tolist() == [0, 1, 2, 0]
    # A folder for all, or for each, groups nothing.
    assert EMBEDDING.targets_of([replace(image, label=0) for image in images(4)]) is None
    assert EMBEDDING.targets_of(images(3)) is None


def test_the_table_knows_what_manifests_say():
    assert task_of({}) is TASKS["classes"]
    assert task_of({"head": "none"}) is EMBEDDING
    assert task_of({"task": {"name": "binary", "threshold": 0.3, "negative": "no"}}).threshold == 0.3
    with pytest.raises(InputError, match="choose one of: classes, binary"):
        find_task("segmentation")


def test_few_images_prove_little_even_where_nothing_changed():
    nothing = PerImage(kept=torch.ones(50, dtype=torch.bool), lost=torch.zeros(50, dtype=torch.float64))
    assert nothing.share == 0.0 and nothing.interval()[1] > 0.03
