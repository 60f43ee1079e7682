"""What training scripts wrap around a state dict."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edge_effnet import Checkpoint, InputError, load_checkpoint
from tests.support.weight_files import CLASSES, load_saved, network, state_dict

NAMES = ["tench", "church", "golf ball", "french horn", "gas pump"]


def load(content: Any, tmp_path: Path) -> Checkpoint:
    return load_saved(content, tmp_path / "weights.pth", "b0")


def prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


CONTAINERS = {
    "bare": lambda t: t,
    "ordered": OrderedDict,
    "state_dict": lambda t: {"state_dict": t, "epoch": 3, "best_acc1": torch.tensor(0.5)},
    "model_state_dict": lambda t: {"model_state_dict": t, "optimizer_state_dict": {"state": {}, "param_groups": []}},
    "model": lambda t: {"model": t, "lr_scheduler": {"step": 1}},
    "nested": lambda t: {"model": {"state_dict": t}},
    "ddp": lambda t: prefixed("module.", t),
    "compiled": lambda t: prefixed("_orig_mod.", t),
    "compiled ddp": lambda t: {"model": prefixed("_orig_mod.module.", t)},
    "lightning": lambda t: {"state_dict": prefixed("model.", t), "hyper_parameters": {"lr": 0.1}},
    "timm": lambda t: {"state_dict": t, "args": argparse.Namespace(model="efficientnet_b0"), "version": 2},
    "numpy scalars": lambda t: {"state_dict": t, "best": np.float64(0.7), "low": np.float32(1), "step": np.int64(3)},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_opened(name: str, tmp_path: Path) -> None:
    checkpoint = load(CONTAINERS[name](state_dict()), tmp_path)
    assert checkpoint.notes == ()
    expected = network().state_dict()
    loaded = checkpoint.model.state_dict()
    assert list(loaded) == list(expected)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in loaded.items())


EMA_COPIES = {
    "state_dict_ema": lambda t: {"state_dict_ema": t},
    "model_ema of torchvision's references": lambda t: {
        "model_ema": prefixed("module.", t) | {"n_averaged": torch.tensor(7)}
    },
    "ema": lambda t: {"ema": {"module": t, "decay": 0.999}},
}


@pytest.mark.parametrize("name", EMA_COPIES)
def test_the_averaged_copy_is_preferred_and_said_so(name: str, tmp_path: Path) -> None:
    averaged = state_dict()
    last = {key: torch.zeros_like(tensor) for key, tensor in averaged.items()}
    checkpoint = load({"state_dict": last, "model": last} | EMA_COPIES[name](averaged), tmp_path)
    assert torch.equal(checkpoint.model.stem.conv.weight, network().stem.conv.weight)
    assert len(checkpoint.notes) == 1
    assert "averaged copy" in checkpoint.notes[0]


def test_an_ema_entry_that_holds_no_weights_is_passed_over(tmp_path: Path) -> None:
    assert load({"ema": {}, "model_ema": None, "model": state_dict()}, tmp_path).notes == ()


def parameters(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if "running_" not in name and "num_b" not in name}


NAMELESS = {
    "torch_ema": ("ema", lambda t: {"decay": 0.99, "shadow_params": [*parameters(t).values()], "num_updates": 1}),
    "diffusers": ("ema_state_dict", lambda t: {"shadow_params": [*parameters(t).values()], "decay": 0.9}),
    "names without dots": ("model_ema", lambda t: {name.replace(".", ""): tensor for name, tensor in t.items()}),
}


@pytest.mark.parametrize("name", NAMELESS)
def test_averaged_weights_that_are_no_network_are_passed_over_and_said_so(name: str, tmp_path: Path) -> None:
    key, make = NAMELESS[name]
    checkpoint = load({"model": state_dict(), key: make(state_dict())}, tmp_path)
    assert torch.equal(checkpoint.model.stem.conv.weight, network().stem.conv.weight)
    assert checkpoint.notes == (f"No network is in '{key}', so 'model' was taken.",) and not checkpoint.averaged


@pytest.mark.parametrize("wrap", [lambda t: t, lambda t: {"decay": 0.99, "shadow": t}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_averaged_parameters_get_the_last_steps_statistics(wrap: Any, prefix: str, tmp_path: Path) -> None:
    averaged = state_dict()
    last = {key: tensor if "running" in key else torch.zeros_like(tensor) for key, tensor in averaged.items()}
    content = {"state_dict": last, "ema": wrap(prefixed(prefix, parameters(averaged)))}
    checkpoint = load(content, tmp_path)
    expected = network().state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in checkpoint.model.state_dict().items())
    assert any("no statistics of BatchNorm, so those of 'state_dict' were taken" in note for note in checkpoint.notes)
    assert checkpoint.averaged


@pytest.mark.parametrize(
    "entry",
    [
        {"class_names": NAMES},
        {"classes": tuple(NAMES)},
        {"class_to_idx": {name: NAMES.index(name) for name in sorted(NAMES)}},
        {"classes": dict(enumerate(NAMES))},
        {"classes": {str(index): name for index, name in enumerate(NAMES)}},
    ],
)
def test_class_names_come_from_the_file(entry: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = load({"state_dict": state_dict()} | entry, tmp_path)
    assert checkpoint.class_names == checkpoint.model.class_names == tuple(NAMES)
    assert checkpoint.num_classes == CLASSES


@pytest.mark.parametrize("entry", [{"class_names": NAMES}, {"class_to_idx": {n: i for i, n in enumerate(NAMES)}}])
def test_class_names_in_safetensors_metadata(entry: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    metadata = {key: json.dumps(value) for key, value in entry.items()}
    save_file(state_dict("timm"), path, metadata=metadata | {"arch": "tf_efficientnet_b0"})
    checkpoint = load_checkpoint(path, "b0")
    assert checkpoint.class_names == tuple(NAMES)
    assert (checkpoint.origin, checkpoint.notes) == ("timm-tf", ())


def test_class_names_of_another_count_are_left_out_and_said_so(tmp_path: Path) -> None:
    checkpoint = load({"state_dict": state_dict(), "class_names": NAMES[:3]}, tmp_path)
    assert checkpoint.class_names is None
    assert checkpoint.notes == ("The file names 3 classes for a classifier of 5: names ignored.",)


@pytest.mark.parametrize("names", [[1, 2, 3, 4, 5], {"a": 0, "b": 2}, {"a": 0, "b": 0}, {"a": "b"}, "tench", 5])
def test_class_names_that_are_none_are_ignored_and_said_so(names: Any, tmp_path: Path) -> None:
    checkpoint = load({"state_dict": state_dict(), "classes": names}, tmp_path)
    assert checkpoint.class_names is None
    assert len(checkpoint.notes) == 1
    assert "The file's 'classes' is neither a list of names nor a mapping" in checkpoint.notes[0]


def test_two_classes_may_share_a_name(tmp_path: Path) -> None:
    names = ["crane", "church", "crane", "maillot", "maillot"]
    assert load({"model": state_dict(), "class_names": names}, tmp_path).class_names == tuple(names)


def test_a_container_that_holds_itself_is_refused(tmp_path: Path) -> None:
    container: dict[str, Any] = {"epoch": 1}
    container["model"] = container
    with pytest.raises(InputError, match="containers nested more than 8 deep"):
        load(container, tmp_path)


def test_a_classifier_made_anew_has_no_names(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": state_dict(), "class_names": NAMES}, path)
    assert load_checkpoint(path, "b0", num_classes=7).class_names is None
    assert load_checkpoint(path, "b0", include_top=False).class_names is None
