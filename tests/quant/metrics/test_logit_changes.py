"""What changed each image's class, against values by hand."""

import pytest
import torch

from quant.metrics.logit_changes import SHOWN, LogitChange, LogitChanges


def test_the_rival_and_what_it_gained_tell_which_images_changed_class():
    reference = torch.tensor([[2.0, 0.0, -1.0], [1.0, 0.5, 0.0], [1.0, 0.9, 0.8]])
    other = torch.tensor([[1.5, 0.5, -1.0], [0.5, 1.0, 0.0], [1.0, 0.0, 0.9]])
    found = LogitChanges.of(reference, other)
    assert [(round(i.margin, 3), round(i.gained, 3)) for i in found.images] == [(2.0, 1.0), (0.5, 1.0), (0.2, 0.1)]
    assert [image.flipped for image in found.images] == (other.argmax(dim=1) != reference.argmax(dim=1)).tolist()
    before, after = reference.softmax(dim=1)[:, 0], other.softmax(dim=1)[:, 0]
    assert found.drift == pytest.approx((after - before).mean().item(), abs=1e-6)


def test_of_many_images_all_that_changed_are_kept_and_json_keeps_the_figures():
    torch.manual_seed(0)
    reference = torch.randn(3 * SHOWN, 5)
    other = reference + 0.3 * torch.randn(3 * SHOWN, 5)
    found = LogitChanges.of(reference, other)
    changed = int((reference.argmax(dim=1) != other.argmax(dim=1)).sum())
    assert sum(image.flipped for image in found.images) == min(changed, SHOWN) and len(found.images) <= SHOWN + 1
    again = LogitChanges.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    assert again.images[0] == LogitChange(
        margin=round(found.images[0].margin, 3), gained=round(found.images[0].gained, 3)
    )


def test_equal_logits_change_nothing():
    logits = torch.tensor([[1.0, 1.0], [0.0, 3.0]])
    found = LogitChanges.of(logits, logits)
    assert not any(image.flipped for image in found.images) and found.drift == found.drift_tail == 0.0
