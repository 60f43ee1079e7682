"""Networks handed over in memory: of every package, wrapped or not, read, proved, and left as they were."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from edge_effnet import InputError, Preprocess, load_module
from edge_effnet.in_memory.load import require_same
from tests.support import peers
from tests.support.networks import images, trained_looking
from tests.support.transformers_reference import EfficientNetForImageClassification

CLASSES = 7
CENTRE = Preprocess(crop=224, resize=256)
INCEPTION = (0.5, 0.5, 0.5)


def of_timm(name: str, **settings: Any) -> nn.Module:
    return peers.timm.create_model(name, **{"num_classes": CLASSES, **settings})


def of_lukemelas(**settings: Any) -> nn.Module:
    return peers.efficientnet_pytorch.EfficientNet.from_name("efficientnet-b0", num_classes=CLASSES, **settings)


def of_torchvision() -> nn.Module:
    return peers.torchvision.models.efficientnet_b0(weights=None, num_classes=CLASSES)


class OfTransformers(nn.Module):
    """As the package gives logits, in an object, with its config beside the network."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.network = EfficientNetForImageClassification(width=1, depth=1, depthwise_padding=(), labels=CLASSES)
        values = {"model_type": "efficientnet", "id2label": {str(i): f"kind {i}" for i in range(CLASSES)}, **changes}
        self.config = SimpleNamespace(**values, to_dict=lambda: values)

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.network(x))


def headless() -> nn.Sequential:
    return nn.Sequential(of_timm("tf_efficientnet_b0", num_classes=0), nn.Dropout(0.2), nn.Linear(1280, CLASSES))


# What makes it; its variant, origin, and how its images are read.
MODULES: dict[str, tuple[Callable[[], nn.Module], str, str, Preprocess]] = {
    "timm": (lambda: of_timm("efficientnet_b0"), "b0", "timm", CENTRE),
    "timm-tf": (
        lambda: of_timm("tf_efficientnet_lite0"),
        "lite0",
        "timm-tf",
        Preprocess(crop=224, resize=256, mean=INCEPTION, std=INCEPTION),
    ),
    "timm, hardswish": (lambda: of_timm("efficientnet_b0", act_layer="hard_swish"), "b0", "timm", CENTRE),
    "timm, another eps": (lambda: of_timm("efficientnet_b0", bn_eps=0.1), "b0", "timm", CENTRE),
    "timm, gray": (
        lambda: of_timm("efficientnet_b0", in_chans=1),
        "b0",
        "timm",
        Preprocess(crop=224, resize=256, mean=(0.449,), std=(0.226,)),
    ),
    "timm, v2": (lambda: of_timm("tf_efficientnetv2_b0"), "v2-b0", "timm-tf", Preprocess(crop=192, resize=219)),
    "timm, in a Sequential": (headless, "b0", "timm-tf", CENTRE),
    "torchvision": (of_torchvision, "b0", "torchvision", CENTRE),
    "lukemelas, 128 pixels": (
        lambda: of_lukemelas(image_size=128),
        "b0",
        "lukemelas",
        Preprocess(crop=128, resize=128),
    ),
    "transformers": (OfTransformers, "b0", "transformers", Preprocess(crop=224, resize=224, resize_mode="squash")),
}


@functools.cache
def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = MODULES[name][0]()
    trained_looking(module.network if isinstance(module, OfTransformers) else module, image_size=96)
    return module


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_each_package(name: str) -> None:
    _, variant, origin, preprocess = MODULES[name]
    checkpoint = load_module(made(name))
    assert (checkpoint.spec.name, checkpoint.origin, checkpoint.preprocess) == (variant, origin, preprocess)
    require_same(checkpoint, [images(2, preprocess.crop, seed=3, channels=preprocess.channels)], "images")


def test_what_an_object_tells_is_taken() -> None:
    assert load_module(made("transformers")).class_names == tuple(f"kind {i}" for i in range(CLASSES))
    squashed = Preprocess(crop=160, resize=160)
    assert load_module(made("torchvision"), preprocess=squashed).preprocess == squashed
    assert load_module(made("timm, hardswish")).model.activation == "hardswish"


def test_a_given_preprocessing_stands_in_for_timms_of_no_square() -> None:
    module = copy.deepcopy(made("timm"))
    module.pretrained_cfg = {**module.pretrained_cfg, "input_size": (3, 224, 256)}
    with pytest.raises(InputError, match=r"input_size \(3, 224, 256\): need a square.* pass preprocess="):
        load_module(module)
    squashed = Preprocess(crop=160, resize=160)
    checkpoint = load_module(module, preprocess=squashed)
    assert (checkpoint.preprocess, checkpoint.origin) == (squashed, "timm")


def test_class_names_of_a_config_around_timms_network() -> None:
    class Wrapper(nn.Module):
        def __init__(self, labels: dict[int, str]) -> None:
            super().__init__()
            self.timm_model = made("timm")
            self.config = SimpleNamespace(model_type="timm_wrapper", id2label=labels)

        def forward(self, x: torch.Tensor) -> Any:
            return self.timm_model(x)

    names = {i: f"kind {i}" for i in range(CLASSES)}
    assert load_module(Wrapper(names)).class_names == tuple(names.values())
    assert load_module(Wrapper({i: f"LABEL_{i}" for i in range(CLASSES)})).class_names is None


def test_the_module_stays_as_it_was() -> None:
    module = made("timm").train()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    flags = [(layer.training, len(layer._forward_hooks)) for layer in module.modules()]
    load_module(module).model.stem.conv.weight.data.zero_()
    assert flags == [(layer.training, len(layer._forward_hooks)) for layer in module.modules()]
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_changed_forward_pass_is_found_where_it_is() -> None:
    module = of_timm("efficientnet_b0")
    trained_looking(module, image_size=96)
    module.blocks[2][0].conv_dw.padding = (1, 1)
    module.blocks[2][0].conv_dw.kernel_size = (3, 3)
    with pytest.raises(InputError, match=r"the convolution blocks\.2\.0\.conv_dw puts out something else"):
        load_module(module)
    module = of_timm("efficientnet_b0")
    trained_looking(module, image_size=96)
    module.blocks[3][1].se.gate = nn.Hardsigmoid()
    with pytest.raises(InputError, match=r"what reaches blocks\.3\.1\.conv_pwl from blocks\.3\.1\.se\.conv_expand"):
        load_module(module)
