"""Our tables of variants, origins and addresses against the packages' own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import VARIANTS, EfficientNet, InputError, Preprocess, resolve_variant
from edge_effnet.blocks import Block
from edge_effnet.variants import relative_of
from edge_effnet.weights.identify import with_widths
from edge_effnet.weights.layouts import LAYOUTS
from edge_effnet.weights.origins import ORIGINS
from edge_effnet.weights.sources import HUB_SOURCES, SOURCES
from edge_effnet.weights.training import choose_origin, published_preprocess
from tests.support import peers
from tests.support.layouts import layout_of

B0_TO_B7 = [f"b{i}" for i in range(8)]
TORCHVISION = list(ORIGINS["torchvision"].preprocess)
LITE = [f"lite{i}" for i in range(5)]

PREFIXES = {
    "torchvision": ("efficientnet_", "efficientnet_"),
    "timm": ("efficientnet_", "efficientnet"),
    "timm-tf": ("tf_efficientnet_", "tf_efficientnet"),
    "lukemelas": ("efficientnet-", ""),
}
"""Of a peer's name, for the variants of the first family and for V2's."""


def peers_name(origin: str, variant: str) -> str:
    return PREFIXES[origin][variant.startswith("v2-")] + variant.replace("-", "_")


NETWORKS = [
    (origin, variant, peers_name(origin, variant))
    for origin in PREFIXES
    for variant in ORIGINS[origin].preprocess
    if not (origin == "lukemelas" and variant in LITE)  # a package of its own, which is not installed
]


def published_by_timm() -> list[str]:
    """Architectures, which mean their default tag, and all tags."""
    names = {*peers.timm.list_models("*efficientnet*"), *peers.timm.list_pretrained("*efficientnet*")}
    return sorted(name for name in names if not name.startswith("test_"))


def build(origin: str, name: str) -> nn.Module:
    with torch.device("meta"):
        if origin == "torchvision":
            return peers.torchvision.models.get_model(name, weights=None)
        if origin == "lukemelas":
            return peers.efficientnet_pytorch.EfficientNet.from_name(name)
        return peers.timm.create_model(name)


@pytest.mark.parametrize(("origin", "variant", "name"), NETWORKS, ids=str)
def test_every_tensor_and_the_batchnorm_eps_of_every_variant(origin: str, variant: str, name: str) -> None:
    theirs = build(origin, name)
    layout, state_dict = layout_of(ORIGINS[origin].layout, VARIANTS[variant]), theirs.state_dict()
    with torch.device("meta"):
        ours = EfficientNet.from_name(with_widths(VARIANTS[variant], state_dict, layout, title=name))
    expected = {key: tensor.shape for key, tensor in state_dict.items()}
    shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
    keys = layout.theirs(VARIANTS[variant], shapes)
    assert {keys[key]: shape for key, shape in shapes.items()} == expected
    eps = {module.eps for module in theirs.modules() if isinstance(module, nn.BatchNorm2d)}
    assert eps == {ORIGINS[origin].eps(variant)}
    skips = [block.has_skip for block in theirs.modules() if hasattr(block, "has_skip")]  # timm's
    assert skips in ([], [block.has_skip for block in ours.modules() if isinstance(block, Block)])


@pytest.mark.parametrize("variant", TORCHVISION)
def test_preprocessing_address_and_accuracy_of_torchvision(variant: str) -> None:
    weights = peers.torchvision.models.get_model_weights(peers_name("torchvision", variant)).IMAGENET1K_V1
    assert ORIGINS["torchvision"].preprocess[variant] == preprocess_of_torchvision(weights)
    source = SOURCES[f"torchvision/{peers_name('torchvision', variant)}"]
    assert source.url == weights.url
    assert source.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]


def test_the_second_weights_of_torchvision_b1() -> None:
    weights = peers.torchvision.models.EfficientNet_B1_Weights.IMAGENET1K_V2
    source = SOURCES["torchvision/efficientnet_b1-v2"]
    assert source.url == weights.url
    assert source.preprocess == preprocess_of_torchvision(weights)
    assert source.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]


def preprocess_of_torchvision(weights: object) -> Preprocess:
    transforms = weights.transforms()  # type: ignore[attr-defined]
    (crop,), (resize,) = transforms.crop_size, transforms.resize_size
    return Preprocess(
        crop=crop,
        resize=resize,
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def preprocess_of_timm(name: str) -> Preprocess:
    config = peers.timm.models.get_pretrained_cfg(name)
    crop = config.input_size[-1]
    return Preprocess(
        crop=crop,
        resize=math.floor(crop / config.crop_pct),
        interpolation=config.interpolation,
        mean=tuple(config.mean),
        std=tuple(config.std),
        resize_mode="squash" if config.crop_mode == "squash" else "shorter",
    )


@pytest.mark.parametrize(("origin", "variant"), [(o, v) for o in ("timm", "timm-tf") for v in ORIGINS[o].preprocess])
def test_preprocessing_of_timms_own_models_and_of_its_ports(origin: str, variant: str) -> None:
    # Plain B8 is published with RandAugment; timm's default tag of it is the AdvProp one.
    name = peers_name(origin, variant) + (".ra_in1k" if (origin, variant) == ("timm-tf", "b8") else "")
    assert ORIGINS[origin].preprocess[variant] == preprocess_of_timm(name)


@pytest.mark.parametrize("name", [n for n in published_by_timm() if relative_of(n) is None])
def test_preprocessing_of_every_tag_of_timm(name: str) -> None:
    spec = resolve_variant(name)
    origin, guess = choose_origin(LAYOUTS["timm"], spec, architectures=(name,))
    assert guess is None
    assert published_preprocess(origin, spec, (name,)) == preprocess_of_timm(name)


@pytest.mark.parametrize("variant", [v for v in ORIGINS["timm-tf"].preprocess if v.startswith("v2-")])
def test_v2_was_designed_for_the_size_that_it_is_tested_at(variant: str) -> None:
    config = peers.timm.models.get_pretrained_cfg(peers_name("timm-tf", variant))
    assert VARIANTS[variant].resolution == config.test_input_size[-1]


def test_timm_publishes_no_efficientnet_that_is_neither_a_row_nor_refused_by_name() -> None:
    rows = {"timm": set(), "timm-tf": set()}
    for name in peers.timm.list_models("*efficientnet*"):
        if name.startswith(("test_", "efficientvit", "resnet")):
            continue
        try:
            variant = resolve_variant(name).name
        except InputError as error:
            assert "is not supported: it has" in str(error)
            continue
        rows["timm-tf" if name.startswith("tf_") else "timm"].add(variant)
    assert {origin: set(ORIGINS[origin].preprocess) for origin in rows} == rows


@pytest.mark.parametrize("variant", ["lite0", "lite1", "lite2"])
def test_lite_in_the_layout_of_lukemelas_is_tensorflows(variant: str) -> None:
    """The pip packages have the weights that timm ported, so what timm publishes of them holds there too."""
    assert ORIGINS["lukemelas"].preprocess[variant] == preprocess_of_timm(f"tf_efficientnet_{variant}")


@pytest.mark.parametrize("variant", [f"b{i}" for i in range(9)])
def test_preprocessing_of_timms_advprop_ports(variant: str) -> None:
    expected = preprocess_of_timm(f"tf_efficientnet_{variant}.ap_in1k")
    assert ORIGINS["timm-tf-advprop"].preprocess[variant] == expected


def test_addresses_of_lukemelas() -> None:
    from efficientnet_pytorch import utils

    expected = {f"lukemelas/{name}": url for name, url in utils.url_map.items()}
    expected |= {f"lukemelas/{name}-advprop": url for name, url in utils.url_map_advprop.items()}
    assert {name: source.url for name, source in SOURCES.items() if name.startswith("lukemelas/")} == expected


def test_hashes_are_those_in_the_file_names() -> None:
    for source in SOURCES.values():
        assert Path(source.file_name).stem.endswith(f"-{source.sha256_prefix}")
        assert source.variant in VARIANTS
        assert source.origin in ORIGINS


def test_hub_ids_are_published_by_timm() -> None:
    published = {
        peers.timm.models.get_pretrained_cfg(name).hf_hub_id
        for name in peers.timm.list_models("*efficientnet*", pretrained=True)
    }
    assert set(HUB_SOURCES.values()) <= published


def test_resolution_and_dropout_of_lukemelas() -> None:
    from efficientnet_pytorch import utils

    for variant, spec in VARIANTS.items():
        if variant in ORIGINS["lukemelas"].preprocess and variant not in LITE:
            expected = utils.efficientnet_params(f"efficientnet-{variant}")
            assert (spec.width, spec.depth, spec.resolution, spec.dropout) == expected
