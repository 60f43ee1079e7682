"""For each layout: a network of the package itself, its state dict loaded here, the same logits.

Compared in double precision: in float32 two libraries' rounding alone differs in the fourth digit after the
hundred layers of a B1, and by more on one machine than on another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import fold_for_inference, load_checkpoint, save_checkpoint
from tests.support import peers
from tests.support.networks import assert_same_outputs, images, trained_looking
from tests.support.weight_files import load_saved

RTOL = 1e-7  # of doubles: hundreds of roundings leave this many digits, a wrong eps does not

# An even side at which all strided convolutions pad unevenly, and one that mixes both kinds.
SIZES = (96, 75)


@dataclass(frozen=True)
class Case:
    origin: str
    variant: str
    build: Callable[[], nn.Module]

    def __str__(self) -> str:
        return f"{self.origin}-{self.variant}"


def torchvision_net(name: str) -> Callable[[], nn.Module]:
    return lambda: peers.torchvision.models.get_model(name, weights=None, num_classes=37)


def timm_net(name: str) -> Callable[[], nn.Module]:
    return lambda: peers.timm.create_model(name, num_classes=37)


def lukemelas_net(name: str, image_size: int | None = None) -> Callable[[], nn.Module]:
    return lambda: peers.efficientnet_pytorch.EfficientNet.from_name(name, num_classes=37, image_size=image_size)


CASES = (
    Case("torchvision", "b0", torchvision_net("efficientnet_b0")),
    Case("torchvision", "b2", torchvision_net("efficientnet_b2")),  # scaled in width and in depth
    Case("torchvision", "b5", torchvision_net("efficientnet_b5")),  # its eps is another one
    Case("timm", "b0", timm_net("efficientnet_b0")),
    Case("timm", "b2", timm_net("efficientnet_b2")),
    Case("timm", "lite0", timm_net("efficientnet_lite0")),
    Case("timm-tf", "b0", timm_net("tf_efficientnet_b0")),
    Case("timm-tf", "b2", timm_net("tf_efficientnet_b2")),
    Case("timm-tf", "lite0", timm_net("tf_efficientnet_lite0")),
    Case("timm-tf", "lite3", timm_net("tf_efficientnet_lite3")),  # scaled, but not its ends
    Case("lukemelas", "b0", lukemelas_net("efficientnet-b0")),
    Case("lukemelas", "b2", lukemelas_net("efficientnet-b2")),
    Case("torchvision", "v2-s", torchvision_net("efficientnet_v2_s")),
    Case("timm", "v2-s", timm_net("efficientnetv2_s")),
    Case("timm", "v2-rw-t", timm_net("efficientnetv2_rw_t")),
    Case("timm", "v2-rw-s", timm_net("efficientnetv2_rw_s")),  # fused blocks that do not expand
    Case("timm-tf", "v2-b0", timm_net("tf_efficientnetv2_b0")),
    Case("timm-tf", "v2-b1", timm_net("tf_efficientnetv2_b1")),
    Case("timm-tf", "v2-b2", timm_net("tf_efficientnetv2_b2")),  # rounds channels down
    Case("timm", "es", timm_net("efficientnet_es")),
    Case("timm", "em", timm_net("efficientnet_em")),  # shapes allow a skip that it does not have
    Case("timm-tf", "es", timm_net("tf_efficientnet_es")),
    Case("timm-tf", "el", timm_net("tf_efficientnet_el")),
    Case("timm", "b1-pruned", timm_net("efficientnet_b1_pruned")),
    Case("timm", "b2-pruned", timm_net("efficientnet_b2_pruned")),
    Case("timm", "b3-pruned", timm_net("efficientnet_b3_pruned")),
)
"""Of the others, such as V2's M to XL, `test_tables` compares all tensors' names and shapes, eps and blocks."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_logits_equal_the_peers(case: Case, tmp_path: Path) -> None:
    theirs = trained_looking(case.build(), image_size=SIZES[0]).double()
    checkpoint = load_saved(theirs.state_dict(), tmp_path / "weights.pth", case.variant, origin=case.origin)
    assert (checkpoint.origin, checkpoint.num_classes) == (case.origin, 37)
    ours = checkpoint.model.double()
    sides: list[int] = []
    ours.head.register_forward_hook(lambda _head, _inputs, features: sides.append(features.shape[-1]))
    for size in SIZES:
        x = images(2, size, seed=size).double()
        with torch.no_grad():
            assert_same_outputs(ours(x), theirs(x), rtol=RTOL)
    assert sides == [ours.output_image_size(size) for size in SIZES]


PRUNED_AND_FUSED = ("b2-pruned", "em", "v2-b1")


@pytest.mark.parametrize("case", [c for c in CASES if c.variant in PRUNED_AND_FUSED], ids=str)
def test_what_we_save_is_what_the_peer_computes(case: Case, tmp_path: Path) -> None:
    theirs = trained_looking(case.build(), image_size=SIZES[0])
    first = load_saved(theirs.state_dict(), tmp_path / "weights.pth", origin=case.origin)
    first.model.preprocess = first.preprocess
    save_checkpoint(tmp_path / "ours.safetensors", first.model)
    again = load_checkpoint(tmp_path / "ours.safetensors")
    assert (again.spec, again.preprocess, again.notes) == (first.spec, first.preprocess, ())
    assert (again.model.padding, again.model.bn_eps) == (first.model.padding, first.model.bn_eps)
    x = images(2, 75, seed=1).double()
    with torch.no_grad():
        assert_same_outputs(again.model.double()(x), theirs.double()(x), rtol=RTOL)
        assert_same_outputs(fold_for_inference(again.model, 75)(x), theirs(x), rtol=RTOL)


@pytest.mark.parametrize("size", SIZES)
def test_lukemelas_static_padding_at_its_own_size(size: int, tmp_path: Path) -> None:
    theirs = trained_looking(lukemelas_net("efficientnet-b0", size)(), image_size=size).double()
    path = tmp_path / "weights.pth"
    static = load_saved(theirs.state_dict(), path, "b0", image_size=size, padding="same-static")
    dynamic = load_checkpoint(path, "b0", image_size=size)
    assert static.notes == dynamic.notes == ()
    x = images(2, size, seed=1).double()
    with torch.no_grad():
        expected = theirs(x)
        assert_same_outputs(static.model.double()(x), expected, rtol=RTOL)
        assert_same_outputs(dynamic.model.double()(x), expected, rtol=RTOL)


@pytest.mark.parametrize("variant", ["b0", "b1"])
def test_features_and_endpoints_equal_lukemelas(variant: str, tmp_path: Path) -> None:
    theirs = trained_looking(lukemelas_net(f"efficientnet-{variant}")()).double()
    ours = load_saved(theirs.state_dict(), tmp_path / "weights.pth", variant).model.double()
    x = images(2, 150, seed=1).double()
    with torch.no_grad():
        assert_same_outputs(ours.extract_features(x), theirs.extract_features(x), rtol=RTOL)
        expected = theirs.extract_endpoints(x)
        endpoints = ours.extract_endpoints(x)
    assert list(endpoints) == list(expected) == [f"reduction_{i}" for i in range(1, 7)]
    for name, features in expected.items():
        assert_same_outputs(endpoints[name], features, rtol=RTOL)


def test_pooled_features_without_the_top_equal_lukemelas(tmp_path: Path) -> None:
    theirs = trained_looking(
        peers.efficientnet_pytorch.EfficientNet.from_name("efficientnet-b0", include_top=False, image_size=None)
    ).double()
    ours = load_saved(theirs.state_dict(), tmp_path / "weights.pth", "b0", include_top=False).model.double()
    x = images(2, 96, seed=1).double()
    with torch.no_grad():
        assert_same_outputs(ours(x), theirs(x), rtol=RTOL)


def test_the_wrong_origin_changes_the_logits(tmp_path: Path) -> None:
    """The reason why origins exist: shapes and keys agree, the outputs do not."""
    theirs = trained_looking(timm_net("tf_efficientnet_b0")())
    wrong = load_saved(theirs.state_dict(), tmp_path / "weights.pth", "b0", origin="timm").model
    x = images(2, 224, seed=1)
    with torch.no_grad(), pytest.raises(AssertionError, match="not close"):
        assert_same_outputs(wrong(x), theirs(x))
