from dataclasses import replace
from pathlib import Path

import pytest

from edge_effnet.samples import SAMPLE
from quant.artifact.recognise import changed, check_command
from quant.lower.options import BackendOptions
from quant.lower.table import BACKENDS
from quant.pipeline.config import QuantizeConfig
from quant.pipeline.manifest import quantize_command
from quant.pipeline.request import resolve
from quant.qat.options import QatOptions


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("l.csv").write_text("image,breed\na.jpg,pug\n")
    Path("c.txt").write_text("pug\n")


def command(**changes):
    config = QuantizeConfig(variant="b0", **{"weights": "w.pth", "data": "my images", **changes})
    return quantize_command(resolve(config))


BASE = ("quantize", "--variant", "b0", "--weights", "w.pth", "--data", "my images")


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, ()),
        ({"out": Path("b0-int8-xnnpack")}, ()),
        ({"calibration_data": "a", "evaluation_data": "b"}, ("--calibration-data", "a", "--evaluation-data", "b")),
        ({"out": "phone", "seed": 3}, ("--out", "phone", "--seed", "3")),
        ({"classes": "c.txt", "max_unusable": 5.0}, ("--classes", "c.txt", "--max-unusable", "5")),
        ({"labels": "l.csv", "label_column": "breed"}, ("--labels", "l.csv", "--label-column", "breed")),
        ({"trained_activation": "hardswish"}, ("--trained-activation", "hardswish")),
        ({"ema": False}, ("--no-ema",)),
        ({"max_drop": 1.0}, ("--max-drop", "1")),
        ({"min_agreement": 99.5}, ("--min-agreement", "99.5")),
        ({"min_agreement": 99.5, "max_drop": 0.5}, ("--max-drop", "0.5", "--min-agreement", "99.5")),
        ({"recipe": "qat-int8", "qat": QatOptions(epochs=2)}, ("--recipe", "qat-int8", "--epochs", "2")),
        (
            {"backend": ("xnnpack:all", "coreml"), "backend_options": BackendOptions(ios=18)},
            ("--backend", "xnnpack:all", "--backend", "coreml", "--ios", "18"),
        ),
    ],
)
def test_the_command_of_a_run_says_what_departs_from_the_defaults(changes, more):
    assert command(**changes) == (*BASE, *more)


def test_a_target_of_16_bits_is_said_even_where_it_is_the_defaults_figure(monkeypatch):
    monkeypatch.setitem(BACKENDS, "qnn", replace(BACKENDS["qnn"], missing=lambda: None))
    asked = ("--backend", "qnn:mixed")
    assert command(backend="qnn:mixed") == (*BASE, *asked)
    assert command(backend="qnn:mixed", max_drop=1.0) == (*BASE, *asked, "--max-drop", "1")
    assert command(backend="qnn:w8a8", max_drop=1.0) == (*BASE, "--backend", "qnn:w8a8")


def test_the_sample_is_the_default_too():
    assert command(weights=SAMPLE, data=SAMPLE) == ("quantize", "--variant", "b0")


def test_a_remedy_changes_an_option_or_adds_it():
    before = command(recipe="int8-minmax", out="x")
    assert changed(before, {"--recipe": "int8"}) == (*BASE, "--recipe", "int8", "--out", "x")
    assert changed(BASE, {"--min-agreement": "99"}) == (*BASE, "--min-agreement", "99")


def test_the_check_has_the_limits_of_the_run():
    assert check_command(command(max_drop=0.5), folder="x") == (
        *("edge-effnet", "check", "x", "--data", "my images", "--max-drop", "0.5"),
    )
    assert check_command(("quantize", "--variant", "b0"), folder="x")[-1] == SAMPLE
    assert check_command(command(calibration_data="a", evaluation_data="b"), folder="x")[-1] == "b"
    assert check_command(command(labels="l.csv"), folder="x")[5:] == ("--labels", "l.csv")
