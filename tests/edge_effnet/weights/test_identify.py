"""Whose weights, and which variant: decided by names and shapes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from edge_effnet import VARIANTS, EfficientNet, InputError, Preprocess, VariantSpec
from edge_effnet.stages import BlockWidths
from edge_effnet.weights.identify import (
    choose_origin,
    find_variant,
    fingerprint_of_spec,
    fingerprint_of_tensors,
    published_preprocess,
    with_widths,
)
from edge_effnet.weights.layouts import LAYOUTS, kind_of
from edge_effnet.weights.origins import ORIGINS, by_crop_fraction, rescaled
from tests.support.layouts import detect_layout, layout_of

PRUNED = [name for name, spec in VARIANTS.items() if spec.pruned]
FAMILIES = [
    (layout, variant)
    for layout in dict.fromkeys(layout.name for layout in LAYOUTS.values())
    for variant, spec in VARIANTS.items()
    if {kind_of(stage) for stage in spec.stages} <= set(LAYOUTS[layout].kinds)
]


def a_pruned(variant: str) -> VariantSpec:
    """With channel counts as pruning leaves them."""
    spec = VARIANTS[variant]
    blocks = [block for stage in dataclasses.replace(spec, pruned=False).block_specs for block in stage]
    return dataclasses.replace(
        spec,
        widths=tuple(
            BlockWidths(
                inner_channels=block.inner_channels - 3 - index,
                squeezed_channels=block.squeezed_channels + index % 2,
                out_channels=block.out_channels,
            )
            for index, block in enumerate(blocks)
        ),
    )


@pytest.mark.parametrize(("layout", "variant"), FAMILIES)
def test_every_variant_is_found_by_its_shapes(variant: str, layout: str) -> None:
    names_of = layout_of(layout, VARIANTS[variant])
    with torch.device("meta"):
        spec = a_pruned(variant) if variant in PRUNED else VARIANTS[variant]
        tensors = EfficientNet.from_name(spec).state_dict()
    names = names_of.theirs(VARIANTS[variant], tensors)
    theirs = {names[name]: tensor for name, tensor in tensors.items()}
    assert detect_layout(theirs) is names_of
    fingerprint = fingerprint_of_tensors(theirs, names_of)
    assert fingerprint is not None
    assert find_variant(fingerprint) is VARIANTS[variant]
    assert with_widths(VARIANTS[variant], theirs, names_of, title="x") == spec


@pytest.mark.parametrize("package", ["edge-effnet", "torchvision", "timm", "lukemelas"])
def test_gray_stems_do_not_look_like_blocks(package: str) -> None:
    for variant in ("b0", "v2-s") if package != "lukemelas" else ("b0",):
        layout = layout_of(package, VARIANTS[variant])
        with torch.device("meta"):
            tensors = EfficientNet.from_name(variant, in_channels=1).state_dict()
        names = layout.theirs(VARIANTS[variant], tensors)
        fingerprint = fingerprint_of_tensors({names[name]: tensor for name, tensor in tensors.items()}, layout)
        assert fingerprint is not None
        assert find_variant(fingerprint) is VARIANTS[variant]


def test_a_layout_refuses_blocks_that_it_has_no_names_for() -> None:
    with pytest.raises(InputError, match=r"v2-s has blocks \(conv, fused\) that lukemelas has no names for; take"):
        LAYOUTS["lukemelas"].theirs(VARIANTS["v2-s"], ())


@pytest.mark.parametrize(("shape", "got"), [(None, "is missing"), ((3,), r"the shape \[3\]"), ((0, 1, 1, 1), "0")])
def test_a_pruned_network_without_its_counts_is_refused(shape: tuple[int, ...] | None, got: str) -> None:
    with torch.device("meta"):
        tensors = EfficientNet.from_name(a_pruned("b1-pruned")).state_dict()
    name = "stages.2.1.project.conv.weight"
    if shape is None:
        del tensors[name]
    else:
        tensors[name] = torch.zeros(shape)
    with pytest.raises(InputError, match=rf"x\.pth: {name} .*{got}.*; a pruned network's channel counts are read"):
        with_widths(VARIANTS["b1-pruned"], tensors, LAYOUTS["edge-effnet"], title="x.pth")


def test_fingerprints_tell_all_variants_apart() -> None:
    assert len({fingerprint_of_spec(spec) for spec in VARIANTS.values()}) == len(VARIANTS)


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
