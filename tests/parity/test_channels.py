"""Networks of one and of more channels, as timm makes them: the same logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import InputError, load_checkpoint, save_checkpoint
from tests.support import peers
from tests.support.networks import assert_same_outputs, images, trained_looking
from tests.support.weight_files import load_saved

SIZE = 96


def assert_same(ours: nn.Module, x: torch.Tensor, theirs: nn.Module, y: torch.Tensor) -> None:
    with torch.no_grad():
        assert_same_outputs(ours.double()(x.double()), theirs.double()(y.double()))
    ours.float()


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("name", ["efficientnet_b0", "tf_efficientnetv2_b0"])
def test_networks_of_other_channels(name: str, channels: int, tmp_path: Path) -> None:
    theirs = trained_looking(peers.timm.create_model(name, num_classes=7, in_chans=channels), image_size=SIZE)
    checkpoint = load_saved(theirs.state_dict(), tmp_path / "weights.pth", mean=(0.4,), std=(0.2,))
    assert checkpoint.preprocess.mean == (0.4,) * channels
    x = images(2, SIZE, seed=1, channels=channels)
    assert_same(checkpoint.model, x, theirs, x)
    save_checkpoint(tmp_path / "ours.safetensors", checkpoint.model)
    again = load_checkpoint(tmp_path / "ours.safetensors")
    assert again.preprocess == checkpoint.preprocess
    assert_same(again.model, x, theirs, x)


def test_colour_weights_that_timm_folds_for_grays(tmp_path: Path) -> None:
    colour = trained_looking(peers.timm.create_model("efficientnet_b0", num_classes=7), image_size=SIZE)
    folded = peers.timm.create_model("efficientnet_b0", num_classes=7, in_chans=1)
    stem = peers.timm.models.adapt_input_conv(1, colour.state_dict()["conv_stem.weight"])
    folded.load_state_dict({**colour.state_dict(), "conv_stem.weight": stem})
    checkpoint = load_saved(folded.state_dict(), tmp_path / "weights.pth")
    assert checkpoint.preprocess.mean == (pytest.approx(0.449, abs=1e-3),)
    assert any("images are read as gray" in note for note in checkpoint.notes)
    gray = images(2, SIZE, seed=1, channels=1)
    assert_same(checkpoint.model, gray, folded.eval(), gray)
    assert_same(checkpoint.model, gray, colour, gray.expand(-1, 3, -1, -1))


def test_mean_and_std_for_other_channels_are_refused(tmp_path: Path) -> None:
    torch.save(peers.timm.create_model("efficientnet_b0", num_classes=7).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(InputError, match="--mean has 2 numbers, the first convolution takes 3 channels"):
        load_checkpoint(tmp_path / "weights.pth", mean=(0.4, 0.5))
    with pytest.raises(InputError, match=r"--std is of pixels from 0 to 255; .*: --std 0.229,0.2239,0.2251"):
        load_checkpoint(tmp_path / "weights.pth", std=(58.4, 57.1, 57.4))
