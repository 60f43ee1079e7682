import pytest
import torch

from quant.verdict.limits import Limits
from quant.verdict.verdict import Changes, weak_evidence


def answers(count, wrong):
    """Logits of two classes; the first `wrong` images are put into the other one."""
    logits = torch.zeros(count, 2)
    logits[:, 0] = 1.0
    logits[:wrong, 1] = 2.0
    return logits


def found(count, wrong, *, labelled=True, **changes):
    settings = {"max_drop": 1.0, "min_agreement": None, "calibration": 128, **changes}
    limits = Limits(max_drop=settings["max_drop"], min_agreement=settings["min_agreement"], baseline=None)
    labels = torch.zeros(count, dtype=torch.int64) if labelled else None
    logits = answers(count, 0), answers(count, wrong)
    changes = Changes.of(*logits, labels)
    weak = weak_evidence(*logits, labels, limits, calibration=settings["calibration"], changes=changes)
    return tuple(each.message for each in weak)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_loss_well_within_the_limit_on_many_images_is_no_matter_of_caution(labelled):
    assert found(1000, 2, labelled=labelled) == ()


@pytest.mark.parametrize("labelled", [True, False])
def test_a_loss_that_other_images_might_push_over_the_limit_is(labelled):
    (sentence,) = found(1000, 9, labelled=labelled)
    assert sentence.startswith("close to the limit: with 1000 images") and "1.0 allowed" in sentence
    assert ("top-1" in sentence) == labelled


def test_a_dozen_images_prove_nothing_even_where_none_changed():
    assert "12 images" in found(12, 0)[0]
    assert found(12, 0, max_drop=100.0) == ()


def test_an_agreement_that_was_wanted_is_looked_at_too():
    assert "99.0 wanted" in found(1000, 9, max_drop=50.0, min_agreement=0.99)[0]
    assert found(1000, 2, max_drop=50.0, min_agreement=0.99) == ()


def test_few_calibration_images_are_told():
    assert found(1000, 0, calibration=31) == (
        "calibrated on 31 images; with fewer than 32 another sample may do worse",
    )
    assert found(1000, 0, calibration=0) == ()  # a program without quantized activations
