"""Our own files give back the same network, and appear whole or not at all."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edge_effnet import (
    InputError,
    MachineError,
    Preprocess,
    fold_for_inference,
    load_checkpoint,
    save_checkpoint,
    swap_activation,
)
from tests.support.networks import images
from tests.support.weight_files import load_saved, network, state_dict


def test_the_same_network_comes_back(tmp_path: Path) -> None:
    model = load_saved(state_dict("torchvision"), tmp_path / "theirs.pth", image_size=96).model
    model.preprocess = dataclasses.replace(Preprocess(crop=96, resize=110), interpolation="bilinear")
    model.class_names = ("é", "b", "c", "d", "e")
    path = tmp_path / "ours.safetensors"
    save_checkpoint(path, swap_activation(model, "hardswish"))
    checkpoint = load_checkpoint(path)
    loaded = checkpoint.model
    assert (checkpoint.origin, checkpoint.spec, checkpoint.notes) == ("edge-effnet", model.spec, ())
    assert checkpoint.class_names == loaded.class_names == model.class_names
    assert checkpoint.preprocess == model.preprocess
    assert (loaded.padding, loaded.bn_eps, loaded.activation) == ("symmetric", 1e-5, "hardswish")
    x = images(2, 96)
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    model = copy.deepcopy(network())
    model.class_names = ("a", "b", "c", "d", "e")
    paths = [tmp_path / name for name in ("one.safetensors", "two.safetensors")]
    for path in paths:
        save_checkpoint(path, model)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_bare_state_dict_of_ours_loads_with_any_origin(tmp_path: Path) -> None:
    path = tmp_path / "bare.pth"
    assert load_saved(network().state_dict(), path).model.padding == "same"
    assert load_checkpoint(path, origin="torchvision").model.bn_eps == 1e-5


def test_folded_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "folded.safetensors"
    with pytest.raises(InputError, match="only an unfolded network"):
        save_checkpoint(path, fold_for_inference(network()))
    assert not list(tmp_path.iterdir())


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        save_checkpoint(tmp_path / "model.pth", network())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "model.safetensors", network())


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MachineError, match="No space left on device"):
        save_checkpoint(path, network())
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    assert path.read_bytes() == b"old"


def test_preprocessing_for_another_size_is_refused(tmp_path: Path) -> None:
    model = copy.deepcopy(network())
    model.preprocess = Preprocess(crop=96, resize=96)
    with pytest.raises(InputError, match="crops 96 pixels for a network of 224"):
        save_checkpoint(tmp_path / "model.safetensors", model)


def test_a_network_saved_without_preprocessing_keeps_its_size(tmp_path: Path) -> None:
    model = copy.deepcopy(network())
    model.image_size = 96
    save_checkpoint(tmp_path / "model.safetensors", model)
    assert load_checkpoint(tmp_path / "model.safetensors").model.image_size == 96


GOOD = {
    "variant": "b0",
    "padding": "same",
    "bn_eps": 1e-3,
    "activation": "swish",
    "image_size": 224,
    "preprocess": None,
    "class_names": None,
}


@pytest.mark.parametrize(
    "entry",
    [
        "not json",
        "[]",
        "{}",
        json.dumps(GOOD | {"padding": "valid"}),
        json.dumps(GOOD | {"activation": 3}),
        json.dumps(GOOD | {"bn_eps": "0.001"}),
        json.dumps(GOOD | {"image_size": 0}),
        json.dumps(GOOD | {"more": 1}),
        json.dumps(GOOD | {"preprocess": {"crop": 224}}),
    ],
)
def test_damaged_settings_are_refused(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = network().state_dict()
    save_file(tensors, path, metadata={"edge_effnet": json.dumps(GOOD)})
    assert load_checkpoint(path).notes == ()
    save_file(tensors, path, metadata={"edge_effnet": entry})
    with pytest.raises(InputError, match="the metadata 'edge_effnet' is damaged"):
        load_checkpoint(path)
