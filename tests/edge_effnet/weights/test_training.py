"""Whose weights: decided by names, and what that origin's images went through."""

from __future__ import annotations

import pytest

from edge_effnet import VARIANTS, Preprocess
from edge_effnet.weights.layouts import LAYOUTS
from edge_effnet.weights.origins import ORIGINS, by_crop_fraction, rescaled
from edge_effnet.weights.training import choose_origin, published_preprocess


@pytest.mark.parametrize(
    ("architectures", "file_name", "expected"),
    [
        (("tf_efficientnet_b0",), "weights.pth", "timm-tf"),
        (("efficientnet_b0",), "tf_efficientnet_b0.pth", "timm"),  # the file's own word before the file's name
        (("tf_efficientnet_b0.ap_in1k",), "", "timm-tf-advprop"),
        (("tf_efficientnet_b5_ap",), "", "timm-tf-advprop"),
        (("tf_efficientnet_b8",), "", "timm-tf-advprop"),  # its default tag
        (("tf_efficientnet_b8.ra_in1k",), "", "timm-tf"),
        (("tf_efficientnet_b0.ns_jft_in1k", "efficientnet_b0"), "", "timm-tf"),
        (("efficientnet_b0.ra_in1k",), "", "timm"),
        ((), "tf_efficientnet_b0_aa-827b6e33.pth", "timm-tf"),
        ((), "tf_efficientnet_b0_ap-f262efe1.pth", "timm-tf-advprop"),
        ((), "TF_EfficientNet_B0.pth", "timm-tf"),
        (("mine",), "efficientnet_b0_ra-3dd342df.pth", "timm"),
        (("tf_efficientnetv2_s.in1k",), "", "timm-tf"),
        (("efficientnetv2_rw_s",), "", "timm"),
        ((), "tf_efficientnetv2_b0-c7cc451f.pth", "timm-tf"),
        ((), "efficientnetv2_rw_m_agc-3d90cb1e.pth", "timm"),
    ],
)
def test_names_tell_timms_ports_from_its_own(architectures: tuple[str, ...], file_name: str, expected: str) -> None:
    origin, guess = choose_origin(LAYOUTS["timm"], VARIANTS["b0"], architectures=architectures, file_name=file_name)
    assert (origin.name, guess) == (expected, None)


@pytest.mark.parametrize("file_name", ["model.pth", "efficientnet_b0.pth", "efficientnet_b0_best.pth"])
def test_without_a_name_that_tells_the_guess_is_said(file_name: str) -> None:
    origin, guess = choose_origin(LAYOUTS["timm"], VARIANTS["b0"], file_name=file_name)
    assert origin.name == "timm"
    assert guess is not None
    assert "pass origin='timm-tf'" in guess
    origin, guess = choose_origin(LAYOUTS["timm"], VARIANTS["lite2"], file_name=file_name)
    assert origin.name == "timm-tf"
    assert guess is not None
    assert "pass origin='timm'" in guess


@pytest.mark.parametrize(
    ("layout", "name", "expected"),
    [
        ("lukemelas", "efficientnet-b0-355c32eb.pth", "lukemelas"),
        ("lukemelas", "adv-efficientnet-b0-b64d5a18.pth", "lukemelas-advprop"),
        ("torchvision", "tf_efficientnet_b0.pth", "torchvision"),
    ],
)
def test_other_layouts_have_one_origin_or_a_name_that_tells(layout: str, name: str, expected: str) -> None:
    origin, guess = choose_origin(LAYOUTS[layout], VARIANTS["b0"], file_name=name)
    assert (origin.name, guess) == (expected, None)


def test_our_own_weights_without_settings_are_a_guess() -> None:
    origin, guess = choose_origin(LAYOUTS["edge-effnet"], VARIANTS["b0"], file_name="tf_efficientnet_b0.pth")
    assert origin.name == "edge-effnet"
    assert guess is not None
    assert "without their settings" in guess


def test_an_origin_fits_its_layout() -> None:
    for name, origin in ORIGINS.items():
        assert origin.name == name
        assert origin.layout in LAYOUTS
        assert set(origin.preprocess) <= set(VARIANTS)
        assert set(origin.bn_eps_of) <= set(VARIANTS)


def test_rescaled_keeps_the_fraction() -> None:
    base = by_crop_fraction(224, 0.875)
    assert (base.crop, base.resize) == (224, 256)
    assert rescaled(base, 224) is base
    assert rescaled(base, 448) == Preprocess(crop=448, resize=512)
    assert rescaled(Preprocess(crop=100, resize=100), 33) == Preprocess(crop=33, resize=33)


def test_the_first_tag_chooses_the_preprocessing() -> None:
    timm, b1 = ORIGINS["timm"], VARIANTS["b1"]
    for names in (("efficientnet_b1.ft_in1k",), ("efficientnet_b1", "hf_hub:timm/efficientnet_b1.ft_in1k")):
        assert published_preprocess(timm, b1, names) == Preprocess(crop=224, resize=256)
    for names in ((), ("efficientnet_b1",), ("efficientnet_b1.ra4_e3600_r240_in1k", "efficientnet_b1.ft_in1k")):
        assert published_preprocess(timm, b1, names) == timm.preprocess["b1"]
    assert published_preprocess(ORIGINS["timm-tf"], b1, ("efficientnet_b1.ft_in1k",)) != Preprocess(
        crop=224, resize=256
    )
