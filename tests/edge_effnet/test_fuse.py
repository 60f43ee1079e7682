"""Each exact rewrite against the network it was made of, on statistics as training leaves them.

In double precision, where "exact" leaves twelve digits: in float32 rounding alone reaches the fourth.
"""

from __future__ import annotations

import copy
import dataclasses
import functools

import pytest
import torch
from torch import nn

from edge_effnet import VARIANTS, EfficientNet, InputError, Preprocess, fold_for_inference
from edge_effnet.fuse import DEFAULT_SAME_PADDING, SAME_PADDING_FOLDS, fold_batchnorm, fold_same_padding
from edge_effnet.padding import PADDINGS, SamePadding
from tests.support.networks import assert_same_outputs, images, trained_looking

# Sides whose chain of halvings is even, mixed, and odd as far as it goes.
SIZES = (96, 100, 97)


@functools.cache
def network(variant: str = "b0", padding: str = "same", image_size: int = 160) -> EfficientNet:
    """Shared between tests: folding copies it. All layers of the variant, a quarter as wide."""
    spec = dataclasses.replace(VARIANTS[variant], width=0.25)
    model = EfficientNet.from_name(spec, num_classes=10, padding=padding, image_size=image_size)
    trained_looking(model, image_size=image_size)
    return model.double()


def detailed(size: int) -> torch.Tensor:
    return images(2, size, seed=size).double()


def assert_exact(folded: EfficientNet, model: EfficientNet, size: int) -> None:
    x = detailed(size)
    with torch.no_grad():
        assert_same_outputs(folded(x), model(x), rtol=1e-9)


@pytest.mark.parametrize(("variant", "padding"), [("b0", "same"), ("b0", "symmetric"), ("lite0", "same")])
def test_batchnorm_folds_exactly(variant: str, padding: str) -> None:
    model = network(variant, padding)
    folded = fold_batchnorm(model)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    for size in SIZES:
        assert_exact(folded, model, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("same_padding", SAME_PADDING_FOLDS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_same_padding_folds_exactly(padding: str, same_padding: str, size: int) -> None:
    model = network(padding=padding, image_size=size if padding == "same-static" else 160)
    folded = fold_same_padding(model, size, same_padding=same_padding)
    assert not [module for module in folded.modules() if isinstance(module, SamePadding)]
    assert_exact(folded, model, size)


@pytest.mark.parametrize("same_padding", SAME_PADDING_FOLDS)
@pytest.mark.parametrize(("variant", "padding"), [("b0", "same"), ("b0", "symmetric"), ("lite0", "same")])
def test_both_folds_together(variant: str, padding: str, same_padding: str) -> None:
    model = network(variant, padding)
    for size in SIZES:
        folded = fold_for_inference(model, size, same_padding=same_padding)
        assert_exact(folded, model, size)


def strided(model: EfficientNet) -> list[tuple[tuple[int, ...], tuple[int, ...], type]]:
    layers = [model.stem, *(model.stages[index][0].depthwise for index in (1, 2, 3, 5))]
    return [(tuple(layer.conv.kernel_size), tuple(layer.conv.padding), type(layer.pad)) for layer in layers]


def test_what_each_way_makes_of_a_strided_convolution() -> None:
    model = network()
    none = nn.Identity
    assert strided(fold_same_padding(model, 224, same_padding="kernel")) == [
        ((4, 4), (1, 1), none),
        ((4, 4), (1, 1), none),
        ((6, 6), (2, 2), none),
        ((4, 4), (1, 1), none),
        ((6, 6), (2, 2), none),
    ]
    assert strided(fold_same_padding(model, 224, same_padding="pad")) == [
        ((3, 3), (0, 0), nn.ZeroPad2d),
        ((3, 3), (0, 0), nn.ZeroPad2d),
        ((5, 5), (0, 0), nn.ZeroPad2d),
        ((3, 3), (0, 0), nn.ZeroPad2d),
        ((5, 5), (0, 0), nn.ZeroPad2d),
    ]
    for way in SAME_PADDING_FOLDS:  # 225 halves to 113, 57, 29, 15: odd all along, nothing to grow
        assert strided(fold_same_padding(model, 225, same_padding=way)) == [
            ((3, 3), (1, 1), none),
            ((3, 3), (1, 1), none),
            ((5, 5), (2, 2), none),
            ((3, 3), (1, 1), none),
            ((5, 5), (2, 2), none),
        ]


def test_a_fold_leaves_its_model_as_it_was() -> None:
    model = copy.deepcopy(network()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folded = fold_for_inference(model, 96)
    assert not folded.training
    assert model.training
    assert (model.padding, model.image_size) == ("same", 160)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        folded.stem.conv.weight.zero_()
        folded.classifier.weight.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_folded_network_keeps_its_names_and_its_description() -> None:
    model = copy.deepcopy(network())
    model.class_names = tuple("abcdefghij")
    folded = fold_for_inference(model, 96)
    convolutions = {name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    assert convolutions == {name for name, module in folded.named_modules() if isinstance(module, nn.Conv2d)}
    assert (folded.spec, folded.class_names, folded.activation) == (model.spec, model.class_names, "swish")
    assert (folded.padding, folded.image_size, folded.bn_eps) == ("same-static", 96, None)


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_preprocessing_follows_the_new_size(padding: str) -> None:
    model = copy.deepcopy(network(padding=padding))
    model.preprocess = Preprocess(crop=160, resize=200)
    assert fold_for_inference(model, 80).preprocess == Preprocess(crop=80, resize=100)


def test_a_folded_network_refuses_other_sizes() -> None:
    folded = fold_for_inference(network(), 96)
    with pytest.raises(InputError, match="got images of 128x128 pixels"):
        folded(torch.zeros(1, 3, 128, 128))


@pytest.mark.parametrize("same_padding", SAME_PADDING_FOLDS)
def test_folding_twice_changes_nothing(same_padding: str) -> None:
    once = fold_for_inference(network(), 96, same_padding=same_padding)
    twice = fold_for_inference(once, same_padding=same_padding)
    x = detailed(96)
    with torch.no_grad():
        assert torch.equal(once(x), twice(x))


def test_folding_anew_for_another_size() -> None:
    model = network()
    assert_exact(fold_for_inference(fold_for_inference(model, 96, same_padding="pad"), 97), model, 97)
    with pytest.raises(InputError, match="already folded for 96 pixels; fold the original model for 97"):
        fold_for_inference(fold_for_inference(model, 96, same_padding="kernel"), 97)


def test_folding_in_float32_costs_rounding_only() -> None:
    model = copy.deepcopy(network()).float()
    folded = fold_for_inference(model, 96)
    x = images(2, 96)
    with torch.no_grad():
        assert folded(x).dtype == torch.float32
        assert_same_outputs(folded(x), model(x), rtol=1e-3)


def test_bad_arguments() -> None:
    model = network()
    with pytest.raises(InputError, match="unknown same_padding 'crop'; choose one of kernel, pad"):
        fold_for_inference(model, same_padding="crop")
    with pytest.raises(InputError, match="image_size 0"):
        fold_for_inference(model, 0)
    assert DEFAULT_SAME_PADDING in SAME_PADDING_FOLDS


@pytest.mark.parametrize("same_padding", SAME_PADDING_FOLDS)
def test_a_folded_network_exports(same_padding: str) -> None:
    folded = fold_for_inference(network(), 64, same_padding=same_padding)
    x = detailed(64)
    program = torch.export.export(folded, (x,))
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert not [target for target in targets if "batch_norm" in target]
    assert targets.count("aten.pad.default") == (5 if same_padding == "pad" else 0)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), folded(x))
