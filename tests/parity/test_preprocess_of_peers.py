"""Preprocessing read off the peers' own objects."""

from __future__ import annotations

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
    ],
)
def test_timms_is_that_of_its_configuration(name: str, origin: str, variant: str) -> None:
    config = peers.timm.models.get_pretrained_cfg(name).to_dict()
    assert Preprocess.from_timm(config) == ORIGINS[origin].preprocess[variant]


def test_it_is_read_off_a_model_and_other_crops_are_refused() -> None:
    model = peers.timm.create_model("efficientnet_lite0")
    assert Preprocess.from_timm(model) == ORIGINS["timm"].preprocess["lite0"]
    with pytest.raises(InputError, match="crop_mode 'squash'"):
        Preprocess.from_timm({**model.pretrained_cfg, "crop_mode": "squash"})
    with pytest.raises(InputError, match="no pretrained_cfg"):
        Preprocess.from_timm(object())


@pytest.mark.parametrize("variant", ["b0", "b1", "b2", "b5"])
def test_torchvisions_is_that_of_its_weights(variant: str) -> None:
    weights = peers.torchvision.models.get_model_weights(f"efficientnet_{variant}").IMAGENET1K_V1
    for given in (weights, weights.transforms()):
        assert Preprocess.from_torchvision(given) == ORIGINS["torchvision"].preprocess[variant]
    with pytest.raises(InputError, match="neither weights of torchvision"):
        Preprocess.from_torchvision(object())
