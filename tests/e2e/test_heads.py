"""Heads of several layers, and none, from weights to an artifact that is checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import InputError, load_checkpoint, save_checkpoint
from quant import check, open_artifact, quantize
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant")


def with_mlp(tiny: TinyFiles, path: Path) -> Path:
    """The tiny network with logits l as (relu(l), relu(-l)) and their difference: it computes what it did."""
    model = load_checkpoint(tiny.weights).model
    known = model.classifier
    assert isinstance(known, nn.Linear)
    first, last = nn.Linear(known.in_features, 6), nn.Linear(6, 3)
    eye = torch.eye(3)
    first.weight.data = torch.cat([known.weight.data, -known.weight.data])
    first.bias.data = torch.cat([known.bias.data, -known.bias.data])
    last.weight.data, last.bias.data = torch.cat([eye, -eye], dim=1), torch.zeros(3)
    model.classifier, model.head_steps = nn.Sequential(first, nn.ReLU(), last), "linear-relu-linear"
    save_checkpoint(path, model)
    return path


@pytest.mark.parametrize("recipe", ["int8", "int8-strict"])
def test_an_mlp_passes_as_its_linear_does(recipe: str, tiny: TinyFiles, tmp_path: Path) -> None:
    weights = with_mlp(tiny, tmp_path / "mlp.safetensors")
    settings = {"calibration": 16, "recipe": recipe, "max_drop": 5}
    made = quantize("lite0", weights=weights, data=tiny.data, out=tmp_path / "a", **settings)
    assert made.passed
    assert made.artifact.manifest["head"] == "linear-relu-linear"
    assert (made.artifact.delegation.partitions, made.artifact.delegation.left) == (1, 0)
    assert check(open_artifact(tmp_path / "a").folder, data=tiny.data).passed


def test_a_head_has_to_be_told(tiny: TinyFiles, tmp_path: Path) -> None:
    model = load_checkpoint(with_mlp(tiny, tmp_path / "mlp.safetensors")).model
    torch.save(model.state_dict(), tmp_path / "mlp.pth")
    settings = {"weights": tmp_path / "mlp.pth", "data": tiny.data, "out": tmp_path / "a", "calibration": 16}
    with pytest.raises(InputError, match="such as --head linear-relu-linear"):
        quantize("lite0", **settings)
    made = quantize("lite0", head="linear-relu-linear", recipe="int8-fast", **settings)
    assert "--head linear-relu-linear" in " ".join(made.artifact.manifest["command"])


def test_a_classifier_without_a_bias_passes_with_caution(tiny: TinyFiles, tmp_path: Path) -> None:
    tensors = load_checkpoint(tiny.weights).model.state_dict()
    del tensors["classifier.bias"]
    torch.save(tensors, tmp_path / "weights.pth")
    settings = {"weights": tmp_path / "weights.pth", "data": tiny.data, "calibration": 16, "recipe": "int8-fast"}
    for folder, head in (("a", None), ("b", "linear")):
        made = quantize("lite0", out=tmp_path / folder, head=head, max_drop=100, **settings)
        codes = {found.code: found.severity for found in made.outcome.findings}
        assert codes.get("linear-head") == (None if head else "warning")


def test_features_instead_of_logits(tiny: TinyFiles, tmp_path: Path) -> None:
    settings = {"calibration": 16, "recipe": "int8-fast", "max_drop": 100}
    made = quantize("lite0", weights=tiny.weights, data=tiny.data, out=tmp_path / "a", head="none", **settings)
    artifact = open_artifact(tmp_path / "a")
    features = load_checkpoint(tiny.weights).spec.head_channels
    assert artifact.manifest["output"]["shape"] == [1, features]
    assert artifact.head == "none"
    golden = artifact.golden()[0]
    assert torch.nn.functional.cosine_similarity(golden.output, golden.float_output, dim=0) > 0.98
    assert made.outcome.pte.sqnr_db > 15
    with pytest.raises(InputError, match="puts out features"):
        artifact.predict(tiny.data)
    check(artifact.folder, data=tiny.data)
