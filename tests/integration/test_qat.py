"""`quantize --recipe qat-int8`: trains the int8 network, keeps the best, resumes to the same bits."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from edge_effnet import EfficientNet
from edge_effnet.errors import InputError
from edge_effnet.variants import VARIANTS
from edge_effnet.weights.save import save_checkpoint
from quant import quantize
from quant.qat.options import QatOptions
from tests.support.photos import draw_halves
from tests.support.training import TINY


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "lite0", replace(TINY, name="lite0"))
    torch.manual_seed(0)
    draw_halves(tmp_path / "photos", train=40, val=8)
    names = tuple(sorted(p.name for p in (tmp_path / "photos" / "train").iterdir()))
    model = EfficientNet.from_name("lite0", num_classes=len(names), image_size=32).eval()
    model.class_names = names
    weights = tmp_path / "tiny.safetensors"
    save_checkpoint(weights, model)
    return {"weights": weights, "data": tmp_path / "photos", "calibration": 16}


def _options(**changes):
    return QatOptions(**({"steps": 6, "batch_size": 8, "workers": 0, "patience": 0} | changes))


@pytest.mark.usefixtures("one_thread")
def test_report_starts_from_ptq_and_the_program_is_what_was_trained(sources, tmp_path):
    result = quantize("lite0", **sources, recipe="qat-int8", out=tmp_path / "out", qat=_options())
    outcome = result.outcome.to_json()
    assert {"float", "ptq", "quantized", "pte"} <= set(outcome)
    assert outcome["training"]["steps"] == 6
    first, *later = outcome["training"]["rows"]
    assert first["step"] == 0 and first["train_loss"] is None and later
    assert outcome["lowering"] == {"agreement": 1.0, "sqnr_db": 200.0}
    trained = {p["sha256"] for p in result.artifact.manifest["photographs"]["training"]}
    judged = {p["sha256"] for p in result.artifact.manifest["photographs"]["evaluation"]}
    assert trained and not trained & judged
    assert trained <= result.artifact.calibrated_on
    with (tmp_path / "out.qat.curve.csv").open() as file:
        assert next(csv.DictReader(file))["step"] == "0"


@pytest.mark.usefixtures("one_thread")
def test_interrupted_training_resumes_to_the_same_program(sources, tmp_path, monkeypatch):
    whole = quantize("lite0", **sources, recipe="qat-int8", out=tmp_path / "whole", qat=_options(steps=12))
    from quant.training.loop import Loop

    finish = Loop._finish_epoch

    def interrupted(loop, *arguments):
        finish(loop, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "_finish_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quantize("lite0", **sources, recipe="qat-int8", out=tmp_path / "cut", qat=_options(steps=12))
    monkeypatch.setattr(Loop, "_finish_epoch", finish)
    assert not (tmp_path / "cut").exists()
    resumed = quantize(
        "lite0", **sources, recipe="qat-int8", out=tmp_path / "cut", qat=_options(steps=12, resume=True)
    )
    files = [result.artifact.manifest["files"]["model.pte"]["sha256"] for result in (whole, resumed)]
    assert files[0] == files[1]


def test_training_options_need_a_recipe_that_trains(sources, tmp_path):
    with pytest.raises(InputError, match=r"--recipe int8 trains nothing.*qat-int8"):
        quantize("lite0", **sources, out=tmp_path / "out", qat=_options())


def test_checkpoint_of_another_run_is_refused(sources, tmp_path):
    quantize("lite0", **sources, recipe="qat-int8", out=tmp_path / "out", qat=_options(steps=2))
    with pytest.raises(InputError, match="seed"):
        quantize(
            "lite0", **sources, recipe="qat-int8", out=tmp_path / "out", seed=1, qat=_options(steps=2, resume=True)
        )


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"epochs": 0}, "--epochs 0"), ({"steps": 0}, "--steps 0"), ({"teacher": "b7"}, "unknown teacher 'b7'")],
)
def test_bad_options_are_named(changes, named):
    with pytest.raises(InputError, match=named):
        QatOptions(**changes)
