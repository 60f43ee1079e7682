import threading
import warnings

import pytest
import torch

from edge_effnet.errors import InputError
from quant.data.batches import batch_size_for, iterate_batches
from tests.support.images import draw_image
from tests.support.programs import PREPROCESS


@pytest.fixture
def images(tmp_path):
    return [draw_image(tmp_path / f"{index}.jpg", seed=index) for index in range(7)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_batches_hold_every_image_in_order(images, size):
    batches = list(iterate_batches(images, PREPROCESS, batch_size=size))
    assert all(len(batch) == size for batch in batches[:-1])
    assert torch.equal(torch.cat(batches), torch.stack([PREPROCESS(path) for path in images]))


def test_batches_shrink_as_pixels_grow():
    assert [batch_size_for(size) for size in (112, 224, 448, 800, 8192)] == [64, 16, 4, 1, 1]


def test_no_images_are_no_batches():
    assert list(iterate_batches([], PREPROCESS)) == []


@pytest.mark.parametrize("place", [0, 3, 6])
def test_an_unreadable_image_is_named_wherever_it_is(images, place):
    images[place].write_text("not an image")
    with pytest.raises(InputError, match=images[place].name):
        list(iterate_batches(images, PREPROCESS, batch_size=2))


def test_threads_end_when_the_caller_stops_early(images):
    before = threading.active_count()
    batches = iterate_batches(images, PREPROCESS, batch_size=1)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_decoding_threads_leave_the_warning_filters_alone(images):
    """They belong to all threads: one that saved and restored them here could undo another's."""
    for _ in range(20):
        before = list(warnings.filters)
        for _ in iterate_batches(images, PREPROCESS, batch_size=1):
            assert warnings.filters == before
        assert warnings.filters == before
