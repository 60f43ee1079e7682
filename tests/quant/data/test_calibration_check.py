"""Images that are unfit to calibrate on are noticed."""

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from edge_effnet import EfficientNet
from edge_effnet.activations import swap_activation
from edge_effnet.fuse import fold_for_inference
from quant.common.findings import Severity
from quant.data.calibration_check import check_calibration, norm_misfit, stem_shift, twins_among
from tests.support.networks import images, trained_looking

SIZE = 64


@pytest.fixture(scope="module")
def model():
    return trained_looking(EfficientNet.from_name("lite0", num_classes=3, image_size=SIZE), image_size=SIZE)


def test_images_like_the_training_s_raise_no_note(model):
    assert check_calibration(model, list(images(32, SIZE).split(16))) == ()


def test_copies_and_bursts_are_counted(model):
    inputs = images(8, SIZE)
    burst = inputs.repeat(4, 1, 1, 1) + 0.05 * torch.randn(
        32, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)
    )
    assert twins_among([inputs]) == 0 and twins_among([burst]) == 32
    (note,) = check_calibration(model, [burst])
    assert note.message.startswith("32 of the 32 calibration images look like another")


@pytest.mark.parametrize("wrong", [lambda x: x * 0.2, lambda x: x + 8.0, lambda x: x * 58.0 + 120.0])
def test_another_normalisation_is_noticed(model, wrong):
    notes = check_calibration(model, [wrong(images(32, SIZE))])
    assert any("preprocessing" in note.message for note in notes)


def test_weights_of_another_activation_name_the_option():
    torch.manual_seed(0)
    trained = EfficientNet.from_name("lite0", num_classes=3, image_size=SIZE, activation="relu")
    for module in trained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    inputs = list(images(32, SIZE).split(16))
    with torch.no_grad():
        trained.train()(torch.cat(inputs))
    trained.eval()
    assert check_calibration(trained, inputs) == ()
    (found,) = check_calibration(swap_activation(trained, "swish"), inputs)
    assert found.code == "trained-activation" and found.severity is Severity.WARNING
    assert "better with relu than with swish" in found.message
    assert "--trained-activation relu" in found.remedy


def test_no_activation_is_copied_to_measure_it(model):
    """B7 at 600 pixels took 12 GiB for copies in float64, as large as a layer each."""
    copies = []

    class Large(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            tensors = [each for each in pytree.tree_leaves(out) if isinstance(each, torch.Tensor)]
            copies.extend(str(func) for each in tensors if each.dtype is torch.float64 and each.ndim > 2)
            return out

    with Large():
        misfit = norm_misfit(model, [images(4, SIZE)])
    assert len(misfit) and not copies


def test_without_batchnorm_nothing_is_claimed(model):
    folded = fold_for_inference(model, SIZE)
    assert stem_shift(folded, [images(4, SIZE)]) is None
