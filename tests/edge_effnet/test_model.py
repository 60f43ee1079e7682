from __future__ import annotations

import copy
import dataclasses
import itertools

import pytest
import torch
from torch import nn

from edge_effnet import VARIANTS, EfficientNet, InputError, VariantSpec
from edge_effnet.activations import ACTIVATIONS
from edge_effnet.blocks import DropConnect, MBConv, SqueezeExcite
from edge_effnet.padding import PADDINGS
from edge_effnet.stages import BASELINE_STAGES
from tests.support.networks import images, trained_looking

# Every kind of layer in three stages: with and without expansion, kernels of 3 and 5, skip, strides 1 and 2.
TINY: VariantSpec = dataclasses.replace(
    VARIANTS["b0"], name="tiny", width=0.25, stages=BASELINE_STAGES[:3], resolution=32
)


def test_names_of_the_modules() -> None:
    names = {name for name, _ in EfficientNet.from_name("b0").named_modules()}
    assert {
        "stem.conv",
        "stem.norm",
        "stem.activation",
        "stages.2.0.expand.conv",
        "stages.2.0.depthwise.conv",
        "stages.2.0.squeeze_excite.reduce",
        "stages.2.0.squeeze_excite.activation",
        "stages.2.0.squeeze_excite.expand",
        "stages.2.0.squeeze_excite.gate",
        "stages.2.0.project.norm",
        "head.conv",
        "classifier",
    } <= names


def test_drop_connect_grows_linearly_from_zero() -> None:
    model = EfficientNet.from_name("b0", drop_connect_rate=0.32)
    rates = [module.rate for module in model.modules() if isinstance(module, DropConnect)]
    assert rates == pytest.approx([0.32 * index / 16 for index in range(16)])


def test_drop_connect_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropConnect(0.25)
    y = drop(torch.ones(4000, 2, 3, 3))
    per_sample = y.flatten(1)
    assert torch.equal(per_sample.min(dim=1).values, per_sample.max(dim=1).values)
    assert sorted(set(per_sample[:, 0].tolist())) == pytest.approx([0, 1 / 0.75])
    assert y.mean().item() == pytest.approx(1, abs=0.03)
    x = torch.ones(2, 1, 1, 1)
    assert drop.eval()(x) is x


def test_skip_only_where_shapes_allow() -> None:
    skips = [module.has_skip for module in EfficientNet.from_name("b0").modules() if isinstance(module, MBConv)]
    assert skips == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
        True,
        False,
        True,
        True,
        False,
        True,
        True,
        True,
        False,
    ]


def test_squeeze_excite_is_a_gate_on_channel_means() -> None:
    layer = SqueezeExcite(8, 2, activation="swish")
    x = images(2, 6, channels=8)
    squeezed = x.mean((2, 3))
    inner = torch.nn.functional.silu(squeezed @ layer.reduce.weight[:, :, 0, 0].T + layer.reduce.bias)
    gate = torch.sigmoid(inner @ layer.expand.weight[:, :, 0, 0].T + layer.expand.bias)
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])


def test_squeezed_channels_follow_the_blocks_input() -> None:
    model = EfficientNet.from_name("b0")
    assert model.stages[1][0].squeeze_excite.reduce.out_channels == 4  # a quarter of 16, not of 96
    assert type(EfficientNet.from_name("lite0").stages[1][0].squeeze_excite) is nn.Identity


def test_new_weights_follow_the_reference() -> None:
    torch.manual_seed(0)
    model = EfficientNet.from_name("b0")
    depthwise, head = model.stages[5][1].depthwise.conv, model.head.conv
    assert depthwise.weight.std().item() == pytest.approx((2 / 25) ** 0.5, rel=0.02)
    assert head.weight.std().item() == pytest.approx((2 / 1280) ** 0.5, rel=0.02)
    assert model.classifier is not None
    bound = 1000**-0.5
    assert 0.99 * bound < model.classifier.weight.abs().max().item() <= bound
    assert model.classifier.bias.abs().max().item() == 0
    assert model.stem.norm.momentum == 0.01
    assert model.bn_eps == 1e-3


def test_endpoints_are_those_of_lukemelas_docstring() -> None:
    endpoints = EfficientNet.from_name("b0").eval().extract_endpoints(torch.zeros(1, 3, 224, 224))
    assert {name: tuple(features.shape[1:]) for name, features in endpoints.items()} == {
        "reduction_1": (16, 112, 112),
        "reduction_2": (24, 56, 56),
        "reduction_3": (40, 28, 28),
        "reduction_4": (112, 14, 14),
        "reduction_5": (320, 7, 7),
        "reduction_6": (1280, 7, 7),
    }


@pytest.mark.parametrize("size", [32, 75])
def test_features_have_the_announced_size(size: int) -> None:
    model = EfficientNet.from_name("b0", image_size=size).eval()
    x = images(1, size)
    side = model.output_image_size()
    assert model.extract_features(x).shape == (1, 1280, side, side)
    assert model.output_image_size(224) == 7
    assert torch.equal(model.extract_features(x), model.extract_endpoints(x)["reduction_6"])


def test_logits_are_the_classifier_on_the_mean() -> None:
    model = trained_looking(EfficientNet.from_name("b0", num_classes=5))
    x = images(2, 64)
    expected = model.classifier(model.extract_features(x).mean((2, 3)))
    torch.testing.assert_close(model(x), expected)


def test_without_the_top_it_returns_pooled_features() -> None:
    model = EfficientNet.from_name("b0", include_top=False).eval()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 1280, 1, 1)
    assert not [name for name in model.state_dict() if name.startswith("classifier")]


def test_options_arrive() -> None:
    model = EfficientNet.from_name(
        "efficientnet-b0",
        num_classes=7,
        in_channels=1,
        image_size=40,
        dropout_rate=0.6,
        activation="relu",
        bn_eps=1e-5,
    ).eval()
    assert model(torch.zeros(1, 1, 40, 40)).shape == (1, 7)
    assert (model.dropout.p, model.activation, model.bn_eps, model.image_size) == (0.6, "relu", 1e-5, 40)
    assert (model.preprocess, model.class_names) == (None, None)


@pytest.mark.parametrize("size", [95, 96, 100, 129])
def test_static_padding_equals_dynamic_at_any_image_size(size: int) -> None:
    """Where lukemelas' package computed it for the wrong size (its issue #177)."""
    dynamic = trained_looking(EfficientNet.from_name("b0", num_classes=10), image_size=size)
    static = EfficientNet.from_name("b0", num_classes=10, image_size=size, padding="same-static").eval()
    static.load_state_dict(dynamic.state_dict())
    x = images(2, size, seed=1)
    with torch.no_grad():
        assert torch.equal(static(x), dynamic(x))


def test_static_padding_refuses_other_sizes() -> None:
    model = EfficientNet.from_name("b0", image_size=64, padding="same-static").eval()
    for method in (model, model.extract_features, model.extract_endpoints):
        with pytest.raises(InputError, match=r"got images of 64x65 pixels.*64x64.*padding=\"same\""):
            method(torch.zeros(1, 3, 64, 65))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 64, 64, 3), (1, 1, 64, 64)])
def test_other_inputs_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"need images \[N, 3, H, W\]"):
        EfficientNet.from_name(TINY)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes 0"),
        ({"in_channels": 0}, "in_channels 0"),
        ({"image_size": 0}, "image_size 0"),
        ({"dropout_rate": 1.0}, "dropout_rate 1.0"),
        ({"drop_connect_rate": -0.1}, "drop_connect_rate"),
        ({"bn_eps": 0.0}, "bn_eps 0.0"),
        ({"activation": "gelu"}, "unknown activation 'gelu'"),
        ({"padding": "valid"}, "unknown padding 'valid'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EfficientNet.from_name("b0", **options)  # type: ignore[arg-type]


def test_training_step_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    model = EfficientNet.from_name(TINY, num_classes=4, activation="swish-memory-efficient").train()
    loss = nn.functional.cross_entropy(model(images(4, 32)), torch.arange(4))
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def check_export(model: EfficientNet, size: int) -> None:
    x = images(2, size)
    batch = torch.export.Dim("batch", min=1, max=16)
    static = torch.export.export(model, (x,)).module()
    dynamic = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    with torch.no_grad():
        torch.testing.assert_close(static(x), model(x))
        for count in (1, 5):
            other = images(count, size, seed=count)
            torch.testing.assert_close(dynamic(other), model(other))


# Neither knows of the other: each activation with one padding, each padding with several activations.
@pytest.mark.parametrize(
    ("activation", "padding"), list(zip(ACTIVATIONS, itertools.cycle(PADDINGS), strict=False)), ids=str
)
def test_every_activation_and_padding_exports(activation: str, padding: str) -> None:
    model = EfficientNet.from_name(TINY, num_classes=4, activation=activation, padding=padding)
    check_export(trained_looking(model, image_size=32), 32)


@pytest.mark.parametrize("variant", ["b0", "lite0"])
def test_whole_networks_export(variant: str) -> None:
    check_export(trained_looking(EfficientNet.from_name(variant, num_classes=10)), 64)


def test_a_network_in_training_exports_too() -> None:
    """Quantization-aware training exports it so."""
    model = EfficientNet.from_name(TINY, num_classes=4, activation="swish-memory-efficient", padding="same").train()
    program = torch.export.export(copy.deepcopy(model), (images(2, 32),))
    assert program.module()(images(2, 32)).shape == (2, 4)
