"""Another reading of the images that suits float better, by networks whose taste is known."""

from dataclasses import replace

import pytest
import torch

from quant.checks.preprocessing_probe import ALWAYS, READINGS, Probe, better_reading
from quant.common.findings import Severity
from tests.support.images import COLOURS, draw_image
from tests.support.outcomes import images
from tests.support.programs import PREPROCESS

PER_CLASS = 12


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Images of three colours, labelled in the order of their names."""
    folder = tmp_path_factory.mktemp("drawn")
    paths = [draw_image(folder / f"{i}.jpg", COLOURS[i % 3], seed=i) for i in range(3 * PER_CLASS)]
    return [replace(image, path=path) for image, path in zip(images(3 * PER_CLASS), paths, strict=True)]


def knower(drawn, reading=None):
    """A network that knows the colours of these images as a reading gives them, and nothing that looks otherwise."""
    x = torch.stack([PREPROCESS(image.path) for image in drawn])
    seen = (x if reading is None else READINGS[reading](x, PREPROCESS)).mean(dim=(2, 3))
    known = torch.stack([seen[colour::3].mean(dim=0) for colour in range(3)])
    near = 0.2 * known.std()
    return lambda x: 5.0 * torch.exp(-((torch.cdist(x.mean(dim=(2, 3)), known) / near) ** 2))


def probed(drawn, run, readings=tuple(READINGS)):
    labels = torch.tensor([image.label for image in drawn])
    x = torch.stack([PREPROCESS(image.path) for image in drawn])
    return better_reading(run, Probe(images=drawn, labels=labels, logits=run(x), preprocess=PREPROCESS), readings)


def test_a_network_that_reads_rightly_is_left_alone(drawn):
    assert probed(drawn, knower(drawn)) is None


MEANS = [name for name in READINGS if "mean and std" in name and "ImageNet" not in name]


@pytest.mark.parametrize("name", ["BGR instead of RGB", *MEANS])
def test_other_channels_and_another_mean_and_std_are_named(drawn, name):
    found = probed(drawn, knower(drawn, name))
    assert found.code == "preprocessing" and found.severity is Severity.ERROR
    assert f"with {name} the float network is right on {3 * PER_CLASS} of {3 * PER_CLASS} images" in found.message
    # The others are tried where something is suspicious.
    assert (probed(drawn, knower(drawn, name), ALWAYS) is None) == (name not in ALWAYS)


LAYOUTS = ["NHWC instead of NCHW", "NCHW instead of NHWC"]


@pytest.mark.parametrize(("taken", "named"), [LAYOUTS, LAYOUTS[::-1]])
def test_another_order_in_memory_is_named_by_what_undoes_it(drawn, taken, named):
    knows = knower(drawn)
    found = probed(drawn, lambda x: knows(READINGS[taken](x, PREPROCESS)))
    assert f"with {named} the float network is right on" in found.message


def test_a_handful_of_images_proves_nothing(drawn):
    assert probed(drawn[:6], knower(drawn, "BGR instead of RGB")) is None


def test_a_network_that_sees_nothing_prefers_no_reading(drawn):
    generator = torch.Generator().manual_seed(0)
    assert probed(drawn, lambda x: torch.randn(len(x), 3, generator=generator)) is None
