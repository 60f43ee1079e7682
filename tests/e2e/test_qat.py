"""`quantize --recipe qat-int8`: trains the int8 network, keeps the best, resumes to the same bits."""

from __future__ import annotations

import csv

import pytest
import torch

from edge_effnet.errors import InputError
from quant import quantize
from quant.pipeline.check import check
from quant.qat.options import QatOptions
from tests.support.images import draw_halves, pack_shards
from tests.support.ranks import in_two
from tests.support.tiny import untrained

pytestmark = pytest.mark.usefixtures("tiny_variant")


@pytest.fixture
def sources(tmp_path):
    return {**untrained(tmp_path, train=40, val=8), "calibration": 16}


def _options(**changes):
    return QatOptions(**({"steps": 6, "batch_size": 8, "workers": 0, "patience": 0} | changes))


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
    # Its checkpoint is of no other run.
    with pytest.raises(InputError, match="seed"):
        quantize("lite0", **sources, recipe="qat-int8", out=tmp_path / "out", seed=1, qat=_options(resume=True))


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


def test_without_labels_the_teacher_alone_is_enough(sources, tmp_path):
    images = tmp_path / "unlabelled"
    images.mkdir()
    for number, path in enumerate(sorted(draw_halves(tmp_path / "more", train=60, val=12).rglob("*.jpg"))):
        path.rename(images / f"{number:03}.jpg")
    result = quantize(
        "lite0", **(sources | {"data": images}), recipe="qat-int8", out=tmp_path / "out", qat=_options()
    )
    outcome = result.outcome.to_json()
    assert outcome["pte"]["top1"] is None and outcome["training"]["steps"] == 6
    assert {"val_agreement", "val_sqnr_db"} <= set(outcome["training"]["rows"][-1])


def test_a_swapped_activation_learns_from_the_network_that_kept_its_own(sources, tmp_path, monkeypatch):
    from quant.qat.task import Distillation

    teachers = []
    start = Distillation.__init__

    def recorded(self, network, teacher, *arguments, **settings):
        teachers.append(teacher)
        start(self, network, teacher, *arguments, **settings)

    monkeypatch.setattr(Distillation, "__init__", recorded)
    result = quantize(
        "lite0", **sources, recipe="qat-int8", activation="hardswish", out=tmp_path / "out", qat=_options()
    )
    (teacher,) = teachers
    targets = {str(node.target) for node in teacher.graph.nodes}
    assert not any("hardswish" in target for target in targets)
    outcome = result.outcome.to_json()
    assert outcome["activation"] == "hardswish" and {"float", "swapped", "ptq", "pte"} <= set(outcome)


def test_normalising_batches_ends_in_the_programs_own_arithmetic(sources, tmp_path):
    options = _options(batchnorm="batch", statistics_until=0.5, ranges_until=0.5, precision="fp32")
    outcome = quantize("lite0", **sources, recipe="qat-int8", out=tmp_path / "out", qat=options).outcome.to_json()
    assert outcome["lowering"] == {"agreement": 1.0, "sqnr_db": 200.0}


def test_shards_are_images_too(sources, tmp_path):
    shards = pack_shards(tmp_path / "photos", tmp_path / "shards")
    result = quantize(
        "lite0", **(sources | {"data": shards}), recipe="qat-int8", out=tmp_path / "out", qat=_options(steps=2)
    )
    counted = {half: len(list((tmp_path / "photos" / half).rglob("*.jpg"))) for half in ("train", "val")}
    manifest = result.artifact.manifest
    assert len(manifest["photographs"]["evaluation"]) == counted["val"]
    assert check(result.artifact.folder, data=shards, max_drop=100).to_json()["pte"] is not None


@pytest.mark.slow
def test_two_processes_train_as_one(sources, tmp_path):
    settings = {**sources, "recipe": "qat-int8", "qat": _options(steps=4, precision="fp32", augment=0.0)}
    quantize("lite0", **settings, out=tmp_path / "one")
    in_two(lambda _: quantize("lite0", **settings, out=tmp_path / "two"))
    one, two = (
        torch.load(tmp_path / f"{name}.qat.checkpoint", weights_only=True)["model"] for name in ("one", "two")
    )
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=2e-3, msg=name)
    assert (tmp_path / "two" / "manifest.json").is_file()


def test_training_options_need_a_recipe_that_trains(sources, tmp_path):
    with pytest.raises(InputError, match=r"--recipe int8 trains nothing.*qat-int8"):
        quantize("lite0", **sources, out=tmp_path / "out", qat=_options())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 0}, "--epochs 0"),
        ({"steps": 0}, "--steps 0"),
        ({"teacher": "b7"}, "unknown teacher 'b7'"),
        ({"batchnorm": "cold"}, "unknown batchnorm 'cold'"),
        ({"ranges_until": 2.0}, "ranges_until 2.0"),
    ],
)
def test_bad_options_are_named(changes, named):
    with pytest.raises(InputError, match=named):
        QatOptions(**changes)
