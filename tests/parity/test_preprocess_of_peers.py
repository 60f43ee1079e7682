"""Preprocessing read off the peers' own objects."""

from __future__ import annotations

import importlib

import pytest

from edge_effnet import InputError, Preprocess
from edge_effnet.weights.origins import ORIGINS
from tests.support import peers


@pytest.mark.parametrize(
    ("name", "origin", "variant"),
    [
        ("efficientnet_b0", "timm", "b0"),
        ("efficientnet_b1", "timm", "b1"),
        ("efficientnet_b4", "timm", "b4"),
        ("tf_efficientnet_lite3", "timm-tf", "lite3"),
        ("tf_efficientnetv2_s", "timm-tf", "v2-s"),
        ("tf_efficientnetv2_m", "timm-tf", "v2-m"),
        ("tf_efficientnetv2_b3", "timm-tf", "v2-b3"),
    ],
)
def test_timms_is_that_of_its_configuration(name: str, origin: str, variant: str) -> None:
    config = peers.timm.models.get_pretrained_cfg(name).to_dict()
    assert Preprocess.from_timm(config) == ORIGINS[origin].preprocess[variant]


def test_it_is_read_off_a_model_and_other_crops_are_refused() -> None:
    model = peers.timm.create_model("efficientnet_lite0")
    assert Preprocess.from_timm(model) == ORIGINS["timm"].preprocess["lite0"]
    with pytest.raises(InputError, match="by crop_mode 'mirror': need a square, and one of center, squash, border"):
        Preprocess.from_timm({**model.pretrained_cfg, "crop_mode": "mirror"})
    with pytest.raises(InputError, match="timm's input of 224x192 pixels"):
        Preprocess.from_timm({**model.pretrained_cfg, "input_size": (3, 224, 192)})
    with pytest.raises(InputError, match="no pretrained_cfg"):
        Preprocess.from_timm(object())


@pytest.mark.parametrize("variant", ["b0", "b1", "b2", "b5"])
def test_torchvisions_is_that_of_its_weights(variant: str) -> None:
    weights = peers.torchvision.models.get_model_weights(f"efficientnet_{variant}").IMAGENET1K_V1
    for given in (weights, weights.transforms()):
        assert Preprocess.from_torchvision(given) == ORIGINS["torchvision"].preprocess[variant]
    with pytest.raises(InputError, match="neither weights of torchvision"):
        Preprocess.from_torchvision(object())


def composed(*steps: object) -> Preprocess:
    transforms = peers.torchvision.transforms
    return Preprocess.from_torchvision(transforms.Compose([*steps, transforms.ToTensor()]))


def test_transforms_of_ones_own() -> None:
    transforms, v2 = peers.torchvision.transforms, importlib.import_module("torchvision.transforms.v2")
    normalize = transforms.Normalize(mean=[0.5] * 3, std=[0.25] * 3)
    assert Preprocess.from_torchvision(
        transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor(), normalize])
    ) == Preprocess(
        crop=224, resize=224, interpolation="bilinear", mean=(0.5,) * 3, std=(0.25,) * 3, resize_mode="squash"
    )
    plain = {"interpolation": "bilinear", "mean": (0.0,) * 3, "std": (1.0,) * 3}
    found = composed(v2.Resize([256]), v2.CenterCrop(224), v2.ToImage())
    assert found == Preprocess(crop=224, resize=256, **plain)
    assert composed(transforms.Resize((256, 256)), transforms.CenterCrop(224)).resize_mode == "squash"
    assert composed(transforms.CenterCrop(64)).resize_mode == "none"
    # timm's own are a Compose, too.
    config = peers.timm.models.get_pretrained_cfg("tf_efficientnetv2_m").to_dict()
    arguments = peers.timm.data.resolve_data_config(pretrained_cfg=config)
    assert Preprocess.from_torchvision(peers.timm.data.create_transform(**arguments)) == Preprocess.from_timm(config)


def test_transforms_that_are_no_square_or_of_training_are_refused() -> None:
    transforms = peers.torchvision.transforms
    for steps, words in (
        ([transforms.Resize(224)], r"Resize\(224\) without CenterCrop gives images that are not square"),
        ([transforms.Resize((224, 192))], r"Resize\(\(224, 192\)\): need a square"),
        ([transforms.RandomResizedCrop(224)], "RandomResizedCrop among the transforms"),
        ([transforms.CenterCrop(224), transforms.Resize(64)], "Resize among the transforms after CenterCrop"),
        ([], "say no size"),
    ):
        with pytest.raises(InputError, match=words):
            composed(*steps)
