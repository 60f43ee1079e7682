"""What the docs do with networks and images that Python holds, done with the tiny network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from edge_effnet import load_checkpoint
from tests.support.code_blocks import blocks
from tests.support.tiny import TinyFiles

pytestmark = pytest.mark.usefixtures("tiny_variant")


def defined(page: str, name: str) -> Any:
    """A function that a page defines."""
    found: dict[str, Any] = {}
    (block,) = [b for b in blocks("python") if b.page == page and f"def {name}(" in b.text]
    exec(block.text, found)
    return found[name]


def test_a_network_in_memory(tiny: TinyFiles, tmp_path: Path) -> None:
    model = load_checkpoint(tiny.weights).model
    assert defined("docs/own-model.md", "quantize_in_memory")(model, tiny.data, tmp_path / "a").passed


def test_loaders(tiny: TinyFiles, tmp_path: Path) -> None:
    preprocess = load_checkpoint(tiny.weights).preprocess
    loaders = []
    for half in ("train", "val"):
        files = sorted((tiny.data / half).rglob("*.jpg"))
        labels = torch.tensor([("blue", "green", "red").index(path.parent.name) for path in files])
        loaders.append(DataLoader(TensorDataset(torch.stack([preprocess(p) for p in files]), labels), batch_size=8))
    assert defined("docs/images.md", "quantize_from_loaders")(tiny.weights, *loaders, tmp_path / "a").passed
