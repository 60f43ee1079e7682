"""Images handed over in Python, from arrays, loaders and files of arrays to a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from edge_effnet import InputError, load_checkpoint
from quant import check, quantize
from tests.support.tiny import SIDE, TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant")

SETTINGS = {"calibration": 16, "recipe": "int8-fast", "max_drop": 5}
NAMES = ("blue", "green", "red")


def files(tiny: TinyFiles, half: str) -> list[Path]:
    return sorted((tiny.data / half).rglob("*.jpg"))


def pictures(tiny: TinyFiles, half: str) -> Iterator[tuple[Image.Image, int]]:
    for path in files(tiny, half):
        yield Image.open(path).convert("RGB"), NAMES.index(path.parent.name)


def arrays(tiny: TinyFiles, half: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*((np.asarray(image), label) for image, label in pictures(tiny, half)), strict=True)
    return np.stack(images), np.array(labels)


def loader(tiny: TinyFiles, half: str) -> DataLoader:
    preprocess = load_checkpoint(tiny.weights).preprocess
    inputs = torch.stack([preprocess(path) for path in files(tiny, half)])
    labels = torch.tensor([NAMES.index(path.parent.name) for path in files(tiny, half)])
    return DataLoader(TensorDataset(inputs, labels), batch_size=7)


def test_generators_of_pictures_give_what_their_folder_gives(tiny: TinyFiles, tmp_path: Path) -> None:
    model = load_checkpoint(tiny.weights).model
    data = pictures(tiny, "train"), pictures(tiny, "val")
    made = quantize(model=model, data=data, out=tmp_path / "a", **SETTINGS)
    of_folder = quantize(model=model, data=tiny.data, out=tmp_path / "b", **SETTINGS)
    assert made.passed and made.outcome.pte_accuracy == of_folder.outcome.pte_accuracy
    assert made.artifact.labels == NAMES
    assert made.artifact.manifest["photographs"]["evaluation"][0]["name"] == "val/000000.png"
    assert "tuple in memory" in made.artifact.manifest["command"]
    assert check(tmp_path / "a", data=list(pictures(tiny, "val"))).pte_accuracy == made.outcome.pte_accuracy


def test_tensors_are_taken_as_they_are(tiny: TinyFiles, tmp_path: Path) -> None:
    train, val = loader(tiny, "train"), loader(tiny, "val")
    settings = {"variant": "lite0", "weights": tiny.weights, "calibration_data": train, "evaluation_data": val}
    made = quantize(out=tmp_path / "a", **settings, **SETTINGS)
    assert made.passed and made.outcome.pte_accuracy.top1 > 0.9
    assert "tensor-inputs" in {found.code for found in made.outcome.findings}
    manifest = made.artifact.manifest
    assert manifest["preprocess"]["resize_mode"] == "tensors" and not manifest["golden_photographs"]
    golden = made.artifact.golden()[0]
    inputs = torch.cat([x for x, _ in val])
    assert (inputs == golden.input).flatten(1).all(dim=1).any()
    assert check(tmp_path / "a", data=val).passed
    with pytest.raises(InputError, match="inputs were handed over as tensors"):
        check(tmp_path / "a", data=tiny.data)
    with pytest.raises(InputError, match="was made with preprocessed tensors; hand over the same"):
        check(tmp_path / "a", data=arrays(tiny, "val"))


def test_a_file_of_arrays(tiny: TinyFiles, tmp_path: Path) -> None:
    (train, train_labels), (val, val_labels) = arrays(tiny, "train"), arrays(tiny, "val")
    np.savez(
        tmp_path / "colours.npz",
        train_images=train,
        train_labels=train_labels[:, None],
        val_images=val,
        val_labels=val_labels[:, None],
        test_images=val[:2],
        test_labels=val_labels[:2, None],
    )
    made = quantize("lite0", weights=tiny.weights, data=tmp_path / "colours.npz", out=tmp_path / "a", **SETTINGS)
    assert made.passed and made.outcome.evaluation_images == len(val)
    np.save(tmp_path / "val.npy", val)
    outcome = check(tmp_path / "a", data=tmp_path / "val.npy")
    assert outcome.passed and outcome.evaluation_images == len(val)


def test_arrays_with_labels_are_split(tiny: TinyFiles, tmp_path: Path) -> None:
    images, labels = arrays(tiny, "train")
    settings = {"weights": tiny.weights, "calibration": 16, "recipe": "int8-fast", "max_drop": 50}
    made = quantize("lite0", data=images, labels=labels, out=tmp_path / "a", **settings)
    assert made.outcome.evaluation_images == len(images) - 16
    with pytest.raises(InputError, match="labels go from 0 to 12, the network's 3 outputs from 0 to 2"):
        quantize("lite0", data=images, labels=labels * 6, out=tmp_path / "b", **settings)
    with pytest.raises(InputError, match="training needs images to vary"):
        inputs = torch.zeros(40, 3, SIDE, SIDE)
        quantize("lite0", data=inputs, out=tmp_path / "b", **{**settings, "recipe": "qat-int8"})
