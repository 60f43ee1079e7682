"""Heads of several layers, as people put them on timm's, torchvision's and lukemelas' networks: the same logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import InputError, load_checkpoint, save_checkpoint
from tests.parity.test_wrapped_networks import (
    CLASSES,
    FEATURES,
    HeadOutside,
    Holding,
    assert_parity,
    headless,
    replaced,
    trained,
)
from tests.support.networks import images, norms_as_trained
from tests.support.weight_files import load_saved

WIDTH = 32


def layers(*made: nn.Module) -> nn.Sequential:
    """A Sequential with statistics as training leaves them."""
    torch.manual_seed(3)
    for module in made:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=3 / module.in_features**0.5)
        norms_as_trained(module)
    return nn.Sequential(*made).eval()


def mlp(*between: nn.Module) -> nn.Sequential:
    return layers(nn.Dropout(0.3), nn.Linear(FEATURES, WIDTH), *between, nn.Dropout(0.2), nn.Linear(WIDTH, CLASSES))


HEADS = [
    ("efficientnet_b0", "classifier", mlp(nn.ReLU()), "linear-relu-linear"),
    ("tf_efficientnet_b0", "classifier", mlp(nn.BatchNorm1d(WIDTH), nn.SiLU()), "linear-batchnorm-silu-linear"),
    (
        "torchvision/efficientnet_b0",
        "classifier",
        mlp(nn.GELU(), nn.LayerNorm(WIDTH)),
        "linear-gelu-layernorm-linear",
    ),
    ("lukemelas/efficientnet-b0", "_fc", mlp(nn.Hardswish()), "linear-hardswish-dropout-linear"),
]


@pytest.mark.parametrize(("name", "attribute", "head", "words"), HEADS)
def test_a_head_that_words_tell(name: str, attribute: str, head: nn.Module, words: str, tmp_path: Path) -> None:
    theirs = replaced(name, attribute, head)
    path = tmp_path / "weights.pth"
    torch.save(Holding("net", theirs).state_dict(), path)
    with pytest.raises(InputError, match=r"--head linear-(relu-|batchnorm-relu-|relu-layernorm-|layernorm-relu-)"):
        load_checkpoint(path)
    origin = "timm-tf" if name.startswith("tf_") else None
    checkpoint = load_checkpoint(path, head=words, origin=origin)
    assert_parity(theirs, checkpoint)
    assert any(words in note for note in checkpoint.notes)
    ours = tmp_path / "ours.safetensors"
    save_checkpoint(ours, checkpoint.model)
    again = load_checkpoint(ours)
    assert again.model.head_steps == words
    assert_parity(theirs, again)


def test_a_head_of_modules_with_names_outside_of_the_backbone(tmp_path: Path) -> None:
    head = layers(nn.LayerNorm(FEATURES), nn.Linear(FEATURES, WIDTH), nn.ReLU6(), nn.Linear(WIDTH, CLASSES))
    theirs = HeadOutside("backbone", headless("efficientnet_b0"), "head", head).eval()
    tensors = theirs.state_dict()
    for number, name in ((0, "norm"), (1, "fc1"), (3, "fc2")):
        for tensor in ("weight", "bias"):
            tensors[f"head.{name}.{tensor}"] = tensors.pop(f"head.{number}.{tensor}")
    assert_parity(theirs, load_saved(tensors, tmp_path / "weights.pth", head="layernorm-linear-relu6-linear"))


def test_what_stands_side_by_side_is_told_by_its_numbers(tmp_path: Path) -> None:
    theirs = replaced("efficientnet_b0", "classifier", layers(nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, CLASSES)))
    checkpoint = load_saved(theirs.state_dict(), tmp_path / "weights.pth")
    assert checkpoint.model.head_steps == "batchnorm-linear"
    assert_parity(theirs, checkpoint)


def test_features_are_given_where_no_head_is_wanted(tmp_path: Path) -> None:
    theirs = trained("efficientnet_b0")
    checkpoint = load_saved(theirs.state_dict(), tmp_path / "weights.pth", head="none")
    assert any("left out, as asked for: classifier.weight, classifier.bias" in note for note in checkpoint.notes)
    x = images(2, 96, seed=1)
    with torch.no_grad():
        expected = theirs.forward_features(x).mean((2, 3))
        torch.testing.assert_close(checkpoint.model(x), expected, rtol=1e-4, atol=1e-4)
    assert (checkpoint.num_classes, checkpoint.class_names) == (FEATURES, None)
    save_checkpoint(tmp_path / "ours.safetensors", checkpoint.model)
    again = load_checkpoint(tmp_path / "ours.safetensors")
    assert torch.equal(again.model(x), checkpoint.model(x))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("linear", r"classifier.1 \(linear 1280 -> 32\), classifier.4 \(linear 32 -> 7\)"),
        ("linear-relu-linear-relu-linear", "its linear number 5 reads 7, got no more"),
        ("linear-batchnorm-linear", "its batchnorm number 2 reads 32, got no more"),
        ("linear-rleu-linear", "'rleu' is no layer; join linear, batchnorm"),
        ("relu-dropout", "at least one linear"),
    ],
)
def test_words_that_do_not_fit_are_refused(words: str, said: str, tmp_path: Path) -> None:
    torch.save(replaced("efficientnet_b0", "classifier", mlp(nn.ReLU())).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=said):
        load_checkpoint(tmp_path / "weights.pth", head=words)


def test_nothing_beside_the_words_is_dropped(tmp_path: Path) -> None:
    head = layers(nn.Linear(FEATURES, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, CLASSES))
    torch.save(replaced("efficientnet_b0", "classifier", head).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"classifier.1 \(batchnorm 32\) would be left out"):
        load_checkpoint(tmp_path / "weights.pth", head="linear-relu-linear")
