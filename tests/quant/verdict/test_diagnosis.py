from dataclasses import replace

import pytest

from quant.verdict.diagnosis import Circumstances, diagnose
from tests.support.artifacts import LAYER

MINMAX = Circumstances(recipe="int8-minmax", targeted=False, calibration=128, odd_images=False)


def layers(*sqnr):
    return [replace(LAYER, layer=f"layer{i}", sqnr_db=value) for i, value in enumerate(sqnr)]


def test_the_first_layer_below_the_threshold_is_named_with_its_clipping():
    found = diagnose(layers(40.0, 22.0, 9.5, 3.0), MINMAX)
    assert (found.layer, found.operator, found.sqnr_db) == ("layer2", "product", 9.5)
    assert found.finding == ("SQNR first falls below 10 dB at layer2 (product, 9.5 dB, 0.1 % of its values clipped)")
    assert found.sentence.endswith("; try: --recipe int8 (loss-aware ranges, reconstructed layers)")


def test_without_a_broken_layer_the_steepest_fall_is_named():
    found = diagnose(layers(40.0, 38.0, 21.0, 20.0), MINMAX)
    assert found.layer == "layer2" and found.finding.startswith(
        "no layer's output is below 10 dB; SQNR falls most at layer2"
    )


@pytest.mark.parametrize("reports", [(), layers(40.0)])
def test_without_an_analysis_there_is_a_remedy_all_the_same(reports):
    found = diagnose(reports, MINMAX)
    assert found.layer is None and found.finding == ""
    assert found.sentence.startswith("try: --recipe int8")
    assert found.to_json()["sqnr_db"] is None


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, [{"--recipe": "int8"}, {"--recipe": "qat-int8"}, {}]),
        ({"recipe": "int8"}, [{"--min-agreement": "99"}, {"--recipe": "qat-int8"}, {}]),
        ({"recipe": "int8", "classes": False}, [{"--max-drop": "1"}, {"--recipe": "qat-int8"}, {}]),
        ({"recipe": "int8", "targeted": True}, [{"--recipe": "qat-int8"}, {}]),
        (
            {"recipe": "int8", "targeted": True, "calibration": 16},
            [{"--calibration": "256"}, {"--recipe": "qat-int8"}, {}],
        ),
        ({"recipe": "qat-int8"}, [{}]),
        ({"recipe": "fp16", "calibration": 0}, [{}, {}]),
        ({"odd_images": True}, [{}, {"--recipe": "int8"}, {"--recipe": "qat-int8"}, {}]),
    ],
)
def test_remedies_fit_the_run(changes, options):
    found = diagnose((), replace(MINMAX, **changes))
    assert [dict(remedy.options) for remedy in found.remedies] == options


def test_json_names_layer_and_remedies():
    found = diagnose(layers(9.0), MINMAX).to_json()
    assert found["layer"] == "layer0" and found["sqnr_db"] == 9.0 and found["remedies"][0].startswith("--recipe int8")
