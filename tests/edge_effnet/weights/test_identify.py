"""Which variant: decided by shapes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from edge_effnet import VARIANTS, EfficientNet, InputError, VariantSpec
from edge_effnet.stages import BlockWidths
from edge_effnet.weights.identify import (
    find_variant,
    fingerprint_of_spec,
    fingerprint_of_tensors,
    with_widths,
)
from edge_effnet.weights.layouts import LAYOUTS, kind_of
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
