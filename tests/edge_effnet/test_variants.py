from __future__ import annotations

import dataclasses

import pytest
import torch

from edge_effnet import VARIANTS, EfficientNet, InputError, VariantSpec, resolve_variant
from edge_effnet.stages import round_filters, round_repeats

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
    "es": 5_438_392,
    "em": 6_899_496,
    "el": 10_589_712,
    "v2-b0": 7_139_704,
    "v2-b1": 8_141_052,
    "v2-b2": 10_096_086,
    "v2-b3": 14_358_406,
    "v2-s": 21_458_488,
    "v2-m": 54_139_356,
    "v2-l": 118_515_272,
    "v2-xl": 208_119_808,
    "v2-rw-t": 13_649_388,
    "v2-rw-s": 23_941_296,
    "v2-rw-m": 53_236_442,
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
        ("v2-s", "v2-s"),
        ("v2_s", "v2-s"),
        ("V2S", "v2-s"),
        ("efficientnetv2_s", "v2-s"),
        ("efficientnet_v2_s", "v2-s"),
        ("efficientnetv2-xl", "v2-xl"),
        ("tf_efficientnetv2_m.in21k_ft_in1k", "v2-m"),
        ("tf_efficientnetv2_l_in21ft1k", "v2-l"),
        ("v2-b0", "v2-b0"),
        ("EfficientNetV2B0", "v2-b0"),
        ("tf_efficientnetv2_b3.in21k", "v2-b3"),
        ("efficientnetv2_rw_t.ra2_in1k", "v2-rw-t"),
        ("es", "es"),
        ("edgetpu-s", "es"),
        ("efficientnet-edgetpu-L", "el"),
        ("efficientnet_em", "em"),
        ("tf_efficientnet_es.in1k", "es"),
        ("efficientnet_es_pruned.in1k", "es"),
        ("efficientnet_el_pruned", "el"),
        ("b1-pruned", "b1-pruned"),
        ("efficientnet_b3_pruned.in1k", "b3-pruned"),
    ],
)
def test_names_of_peers_are_accepted(name: str, expected: str) -> None:
    assert resolve_variant(name) is VARIANTS[expected]


@pytest.mark.parametrize("name", ["", "b9", "b10", "lite", "s", "v2", "v2-b4", "em-pruned", "b4-pruned", "resnet50"])
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown variant .*choose one of b0, b1, .*lite4"):
        resolve_variant(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("efficientnet_cc_b0_4e", "CondConv"),
        ("tf_efficientnet_cc_b1_8e.in1k", "CondConv"),
        ("efficientnet_b0_gn", "group normalization"),
        ("efficientnet_b3_g8_gn", "group normalization"),
        ("efficientnet_b0_g16_evos", "group normalization"),
        ("efficientnet_blur_b0", "blurred"),
        ("efficientnet_x_b3", "stems"),
        ("efficientnet_h_b5.sw_r448_e450_in1k", "stems"),
        ("gc_efficientnetv2_rw_t", "global context"),
    ],
)
def test_relatives_that_are_not_built_here_are_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(
        InputError, match=rf"{name}' is not supported: it has .*{reason}.*; take another variant: b0, "
    ):
        resolve_variant(name)


def test_a_pruned_variant_needs_its_weights() -> None:
    with pytest.raises(InputError, match="'b1-pruned' has channel counts that only its weights know: load a weight"):
        EfficientNet.from_name("b1-pruned")


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
    ("field", "value"), [("width", 0), ("depth", -1), ("resolution", 0), ("dropout", 1.0), ("squeeze_excite", 2.0)]
)
def test_specs_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=field):
        dataclasses.replace(VARIANTS["b0"], **{field: value})


def test_specs_are_frozen() -> None:
    spec: VariantSpec = VARIANTS["b0"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.width = 2.0  # type: ignore[misc]
