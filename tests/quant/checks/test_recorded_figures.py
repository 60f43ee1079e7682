"""Figures that contradict what `quantize` recorded."""

import pytest

from quant.checks.recorded_figures import Recorded, other_float, other_program
from tests.support.outcomes import images

IMAGES = images(100)
OTHERS = images(400)[200:]


def recorded(*, top1=0.9, sqnr_db=20.0, judged=IMAGES):
    hashes = tuple(sorted(image.sha256 for image in judged))
    return Recorded(top1=top1, sqnr_db=sqnr_db, images=len(judged), hashes=hashes)


@pytest.mark.parametrize(
    ("then", "now", "judged", "changed"),
    [
        (20.0, 20.0, IMAGES, False),
        (20.0, 19.1, IMAGES, False),
        (20.0, 18.9, IMAGES, True),
        (20.0, 21.5, IMAGES, True),  # a better one is another one too
        (20.0, 5.0, OTHERS, False),  # other images, other noise
        (65.0, 200.0, IMAGES, False),  # the rounding of float32 alone
        (30.0, 200.0, IMAGES, True),
        (None, 5.0, IMAGES, False),
    ],
)
def test_another_program_has_other_noise_on_the_same_images(then, now, judged, changed):
    found = other_program(recorded(sqnr_db=then), now, judged)
    assert (found is not None) == changed
    if changed:
        assert found.code == "program-changed"
        assert found.message.startswith(f"another program: its logits have {min(now, 60.0):.1f} dB")


@pytest.mark.parametrize(
    ("then", "now", "judged", "changed"),
    [
        (0.9, 0.9, IMAGES, False),
        (0.9, 0.89, IMAGES, False),  # one image in a hundred is rounding on another processor
        (0.9, 0.88, IMAGES, True),
        (0.9, 0.92, IMAGES, True),
        (0.9, 0.86, OTHERS, False),
        (0.9, 0.4, OTHERS, True),
        (0.9, 1.0, OTHERS, False),  # easier images
        (None, 0.1, IMAGES, False),
    ],
)
def test_another_float_network_has_another_accuracy(then, now, judged, changed):
    found = other_float(recorded(top1=then), now, judged)
    assert (found is not None) == changed
    if changed:
        where = "on these very images" if judged is IMAGES else "on 100 others"
        assert found.code == "float-changed"
        assert f"its top-1 is {100 * now:.1f} %, and `quantize` recorded 90.0 % {where}" in found.message


def manifest(**verdict):
    figures = {"images": {"evaluation": 2}, "float": {"top1": 0.5}, "pte": {"sqnr_db": 12.0}}
    return {"verdict": figures | verdict, "photographs": {"evaluation": [{"sha256": "b"}, {"sha256": "a"}]}}


def test_figures_are_read_from_a_manifest():
    assert Recorded.of(manifest()) == Recorded(top1=0.5, sqnr_db=12.0, images=2, hashes=("a", "b"))
    assert Recorded.of(manifest(images={})) is None


def test_figures_of_some_of_the_images_are_of_no_images_in_particular():
    found = Recorded.of(manifest(images={"evaluation": 1}))
    assert found.hashes == () and not found.of_these(IMAGES)
