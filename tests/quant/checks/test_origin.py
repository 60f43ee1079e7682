"""Weights named as timm's and its TensorFlow ports alike: BatchNorm's statistics tell, or --origin is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_effnet import InputError, load_checkpoint
from edge_effnet.variants import VARIANTS
from edge_effnet.weights.files import read_file
from edge_effnet.weights.layouts import LAYOUTS
from quant import quantize
from quant.checks.origin import settle_origin
from quant.data.split import ImageRecord
from tests.support.tiny import TinyFiles
from tests.support.training import TINY

TRAININGS = [("timm", "symmetric", 1e-5), ("timm-tf", "same", 1e-3)]
SETTINGS = {"image_size": 32, "calibration": 16, "recipe": "int8-fast", "max_drop": 100}


@pytest.fixture(autouse=True)
def _tiny_b0(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm and its ports give b0 the same mean and std."""
    monkeypatch.setitem(VARIANTS, "b0", replace(TINY, name="b0"))


def named_as_timms(tiny: TinyFiles, path: Path, *, padding: str, bn_eps: float, knowing: bool = True) -> Path:
    """The tiny network as other padding and eps would have left its statistics, in names that tell nothing."""
    model = load_checkpoint(tiny.weights, variant="b0", padding=padding).model
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.eps, norm.momentum = bn_eps, None
        norm.reset_running_stats()
    if knowing:
        assert model.preprocess is not None
        with torch.no_grad():
            model.train()(torch.stack([model.preprocess(image.path) for image in records(tiny, "train")]))
    tensors = model.state_dict()
    names = LAYOUTS["timm"].theirs(model.spec, tensors)
    torch.save({names[name]: tensor for name, tensor in tensors.items()}, path)
    return path


def records(tiny: TinyFiles, half: str) -> list[ImageRecord]:
    return [
        ImageRecord(path=path, name=path.name, label=None, sha256="")
        for path in sorted((tiny.data / half).rglob("*.jpg"))
    ]


@pytest.mark.parametrize(("origin", "padding", "bn_eps"), TRAININGS)
def test_the_statistics_name_the_origin(
    origin: str, padding: str, bn_eps: float, tiny: TinyFiles, tmp_path: Path
) -> None:
    weights = named_as_timms(tiny, tmp_path / "w.pth", padding=padding, bn_eps=bn_eps)
    guessed = load_checkpoint(weights, "b0")
    assert (guessed.origin, guessed.rival) == ("timm", "timm-tf")
    readings = [load_checkpoint(weights, "b0", origin=name, image_size=32) for name in ("timm", "timm-tf")]
    assert [reading.rival for reading in readings] == [None, None]
    chosen, found = settle_origin(readings[0], readings[1], records(tiny, "val"))
    assert chosen.origin == origin
    assert found.code == "weights" and f"fit {origin} better" in found.message


def test_a_run_takes_it_and_says_so(tiny: TinyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = named_as_timms(tiny, tmp_path / "w.pth", padding="same", bn_eps=1e-3)
    read: list[Path] = []
    monkeypatch.setattr("edge_effnet.weights.load.read_file", lambda path: read.append(path) or read_file(path))
    made = quantize("b0", weights=weights, data=tiny.data, out=tmp_path / "a", **SETTINGS)
    assert made.artifact.manifest["weights"]["origin"] == "timm-tf"
    said = [found.message for found in made.outcome.findings if found.code == "weights"]
    assert len(said) == 1 and "images fit timm-tf better" in said[0]
    assert read == [weights]


def test_where_neither_fits_the_origin_is_asked_for(tiny: TinyFiles, tmp_path: Path) -> None:
    weights = named_as_timms(tiny, tmp_path / "w.pth", padding="same", bn_eps=1e-3, knowing=False)
    settings = {"weights": weights, "data": tiny.data, "out": tmp_path / "a", **SETTINGS}
    with pytest.raises(InputError, match=r"timm's or timm-tf's, .* say --origin timm for weights"):
        quantize("b0", **settings)
    assert quantize("b0", origin="timm-tf", **settings).artifact.manifest["weights"]["origin"] == "timm-tf"
