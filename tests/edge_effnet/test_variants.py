from __future__ import annotations

import dataclasses

import pytest
import torch

from edge_effnet import VARIANTS, EfficientNet, InputError, VariantSpec, resolve_variant
from edge_effnet.variants import round_filters, round_repeats

# Of the published networks with 1000 classes; papers round them: 5.3, 7.8, 9.2, 12, 19, 30, 43, 66, 4.7 M.
PARAMETERS = {
    "b0": 5_288_548,
    "b1": 7_794_184,
    "b2": 9_109_994,
    "b3": 12_233_232,
    "b4": 19_341_616,
    "b5": 30_389_784,
    "b6": 43_040_704,
    "b7": 66_347_960,
    "lite0": 4_652_008,
}


@pytest.mark.parametrize(("variant", "expected"), PARAMETERS.items())
def test_parameter_counts_are_the_published_ones(variant: str, expected: int) -> None:
    with torch.device("meta"):
        model = EfficientNet.from_name(variant)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


@pytest.mark.parametrize(
    ("filters", "width", "expected"),
    [
        (32, 1.0, 32),
        (32, 1.1, 32),
        (40, 1.1, 48),  # 44 lies between; half a divisor rounds up
        (24, 1.2, 32),  # 28.8
        (16, 1.4, 24),  # 22.4
        (1280, 1.1, 1408),
        (8, 0.5, 8),  # never below the divisor
        (88, 0.3, 24),  # 26.4 -> 24 is 9 % less: allowed
        (27, 1.0, 32),  # 24 would be 11 % less
    ],
)
def test_round_filters(filters: int, width: float, expected: int) -> None:
    assert round_filters(filters, width) == expected


@pytest.mark.parametrize(("repeats", "depth", "expected"), [(1, 1.0, 1), (1, 1.1, 2), (4, 1.1, 5), (3, 3.1, 10)])
def test_round_repeats_rounds_up(repeats: int, depth: float, expected: int) -> None:
    assert round_repeats(repeats, depth) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b0", "b0"),
        ("B7", "b7"),
        ("efficientnet-b0", "b0"),
        ("efficientnet_b0", "b0"),
        ("EfficientNet-B3", "b3"),
        ("tf_efficientnet_b0", "b0"),
        ("tf_efficientnet_b0_ap", "b0"),
        ("tf_efficientnet_l2_ns_475", "l2"),
        ("efficientnet_b0.ra_in1k", "b0"),
        ("efficientnet-lite0", "lite0"),
        ("tf_efficientnet_lite4", "lite4"),
        (" l2 ", "l2"),
    ],
)
def test_names_of_peers_are_accepted(name: str, expected: str) -> None:
    assert resolve_variant(name) is VARIANTS[expected]


@pytest.mark.parametrize("name", ["", "b9", "b10", "lite", "efficientnetv2_b0", "efficientnet_b1_pruned", "resnet50"])
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown variant .*choose one of b0, b1, .*lite4"):
        resolve_variant(name)


def test_lite_keeps_its_ends() -> None:
    lite4 = VARIANTS["lite4"]
    assert (lite4.stem_channels, lite4.head_channels) == (32, 1280)
    assert [stage.repeats for stage in lite4.scaled_stages] == [1, 4, 4, 6, 6, 8, 1]
    assert [VARIANTS[f"lite{i}"].resolution for i in range(5)] == [224, 240, 260, 280, 300]
    assert [VARIANTS[f"lite{i}"].dropout for i in range(5)] == [0.2, 0.2, 0.3, 0.3, 0.3]


@pytest.mark.parametrize("name", VARIANTS)
def test_stages_join(name: str) -> None:
    spec = VARIANTS[name]
    assert spec.name == name
    channels = spec.stem_channels
    for stage in spec.scaled_stages:
        assert stage.in_channels == channels
        channels = stage.out_channels
    assert spec.blocks == sum(stage.repeats for stage in spec.scaled_stages)


def test_a_spec_of_ones_own() -> None:
    spec = dataclasses.replace(VARIANTS["b0"], name="mine", width=0.5, depth=0.5, resolution=96)
    model = EfficientNet.from_name(spec, num_classes=3).eval()
    assert model.image_size == 96
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 0), ("depth", -1), ("resolution", 0), ("dropout", 1.0), ("squeeze_excite", 2.0)],
)
def test_specs_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=field):
        dataclasses.replace(VARIANTS["b0"], **{field: value})


def test_specs_are_frozen() -> None:
    spec: VariantSpec = VARIANTS["b0"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.width = 2.0  # type: ignore[misc]
