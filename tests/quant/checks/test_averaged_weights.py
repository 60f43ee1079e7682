"""A file with two copies of the weights, the averaged one far behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_effnet import load_checkpoint
from quant import quantize
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant")

SETTINGS = {"image_size": 32, "calibration": 40, "recipe": "int8-fast", "max_drop": 100, "origin": "edge-effnet"}


@pytest.mark.parametrize("inside", ["beside", "within"])
def test_a_bad_average_names_the_option(inside: str, tiny: TinyFiles, tmp_path: Path) -> None:
    last = load_checkpoint(tiny.weights).model.state_dict()
    averaged = {name: tensor.clone() for name, tensor in last.items()}
    averaged["classifier.weight"] = averaged["classifier.weight"].roll(1, dims=0)
    averaged["classifier.bias"] = averaged["classifier.bias"].roll(1, dims=0)
    content = {"state_dict": last, "state_dict_ema": averaged}
    if inside == "within":
        content = {f"model.{k}": v for k, v in last.items()} | {
            f"model_ema.module.{k}": v for k, v in averaged.items()
        }
    torch.save(content, tmp_path / "w.pth")
    assert (
        load_checkpoint(tmp_path / "w.pth").averaged and not load_checkpoint(tmp_path / "w.pth", ema=False).averaged
    )
    made = quantize("lite0", weights=tmp_path / "w.pth", data=tiny.data, out=tmp_path / "a", **SETTINGS)
    (found,) = [each for each in made.outcome.findings if each.code == "averaged-weights"]
    assert "right on 0 of 40 calibration images" in found.message and "--no-ema" in found.remedy


def test_a_good_average_is_taken_in_silence(tiny: TinyFiles, tmp_path: Path) -> None:
    weights = load_checkpoint(tiny.weights).model.state_dict()
    torch.save({"state_dict": weights, "state_dict_ema": weights}, tmp_path / "w.pth")
    made = quantize("lite0", weights=tmp_path / "w.pth", data=tiny.data, out=tmp_path / "a", **SETTINGS)
    assert "averaged-weights" not in {each.code for each in made.outcome.findings}
