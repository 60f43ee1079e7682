"""Weight files as people have them: whole, damaged, foreign, hostile."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edge_effnet import InputError, load_checkpoint
from edge_effnet.weights.files import sha256_of
from tests.support import peers
from tests.support.refusals import refusal_of
from tests.support.weight_files import CLASSES, RunsCode, state_dict

InterpolationMode = peers.torchvision.transforms.InterpolationMode


def refusal(path: Path) -> str:
    return refusal_of(load_checkpoint, path, "b0", begins=f"{path}: ")


def test_missing(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "b0.pth")


def test_folder(tmp_path: Path) -> None:
    assert "a folder; give the weight file itself" in refusal(tmp_path)


def test_the_one_weight_file_of_a_folder(tmp_path: Path) -> None:
    torch.save(state_dict(), tmp_path / "best.pth")
    for name in ("optimizer.pt", "scheduler.pt", "training_args.bin", "log.txt"):
        torch.save({}, tmp_path / name)
    assert load_checkpoint(tmp_path).num_classes == load_checkpoint(tmp_path / "best.pth").num_classes
    torch.save(state_dict(), tmp_path / "last.pth")
    assert "a folder with 2 weight files (best.pth, last.pth); give the one" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.safetensors.index.json", "in several files; save them in one"),
        ("__0_0.distcp", "dcp_to_torch_save(FOLDER"),
        ("saved_model.pb", "a SavedModel of TensorFlow"),
    ],
)
def test_folders_of_other_kinds(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"{}")
    assert said in refusal(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["model-00001-of-00002.safetensors", "pytorch_model-00002-of-00003.bin", "model.safetensors.index.json"],
)
def test_a_part_of_a_sharded_model(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".json":
        path.write_bytes(b"{}")
    elif path.suffix == ".bin":
        torch.save(state_dict(), path)
    else:
        save_file(state_dict(), path)
    for given in (path, tmp_path):
        message = refusal_of(load_checkpoint, given, begins=f"{given}: ")
        assert "its weights are in several files; save them in one" in message
    if path.suffix == ".bin":
        whole = path.rename(tmp_path / "pytorch_model-00001-of-00001.bin")
        assert load_checkpoint(whole).num_classes == load_checkpoint(tmp_path).num_classes == CLASSES


def test_weight_files_below_a_folder_are_listed(tmp_path: Path) -> None:
    for name in ("checkpoint-100/model.safetensors", "checkpoint-100/optimizer.pt", "a/b/checkpoints/last.ckpt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    below = "2 below (a/b/checkpoints/last.ckpt, checkpoint-100/model.safetensors); give the one"
    assert below in refusal(tmp_path)


def test_a_relative_with_the_same_tensors_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"arch": "efficientnet_blur_b0", "state_dict": state_dict("timm")}, path)
    assert "it is 'efficientnet_blur_b0', which is not supported: it has blurred" in refusal(path)


class Settings:
    """As scripts keep them beside the weights."""


def test_a_class_of_ones_own_beside_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": state_dict(), "config": Settings()}, path)
    assert "lies beside the weights: where it was made" in refusal(path)


class Network(nn.Module):
    """Of a class that no package has."""


PLAIN, ORDERED = {"a": torch.ones(2)}, OrderedDict(a=torch.ones(2))
BESIDE = {
    "an enum": (
        {"model_state_dict": ORDERED, "mode": InterpolationMode.BILINEAR},
        "model_state_dict",
    ),
    "a class": ({"epoch": 3, "transform": nn.ReLU, "net": ORDERED}, "net"),
    "behind it": (
        {"args": Settings(), "optimizer_state_dict": {"state": {}}, "state_dict": {"a": torch.ones(2)}},
        "state_dict",
    ),
    "no weights": ({"epoch": 3, "model": Network(), "ema": None}, None),
    "a layer": ({"model": nn.Linear(2, 2)}, None),
}


@pytest.mark.parametrize("name", BESIDE)
def test_the_remedy_has_the_key_of_the_weights(name: str, tmp_path: Path) -> None:
    content, key = BESIDE[name]
    path = tmp_path / "model.pth"
    torch.save(content, path)
    expected = "a whole model" if key is None else f"torch.load(PATH, weights_only=False)['{key}']"
    assert expected in refusal(path)


def test_the_remedy_for_two_networks_makes_a_usable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flat = {f"{name}.{k}": v for name in ("fold0", "fold1") for k, v in state_dict().items()}
    for content in ({"fold0": state_dict(), "fold1": state_dict()}, flat):
        path = tmp_path / "folds.pth"
        torch.save(content, path)
        command = refusal(path).partition("keep one: ")[2].removesuffix(".")
        exec(command.replace("PATH", repr(str(path))), {})
        assert load_checkpoint(tmp_path / "weights.pth", "b0").num_classes == CLASSES


LISTS = {
    "items": (lambda t: list(t.items()), "dict(loaded)"),
    "items in a tuple": (lambda t: tuple(t.items()), "dict(loaded)"),
    "behind the epoch": (lambda t: (3, t), "loaded[1]"),
    "before the optimizer": (lambda t: [t, {"state": {0: torch.ones(2)}}], "loaded[0]"),
    "behind the optimizer": (lambda t: ({"state": {0: torch.ones(2)}}, {"state_dict": t}), "loaded[1]"),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_remedy_for_a_list_makes_a_usable_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrap, expression = LISTS[name]
    path = tmp_path / "model.pth"
    torch.save(wrap(state_dict()), path)
    command = refusal(path).partition(f"not a state dict; save {expression} alone: ")[2].removesuffix(".")
    exec(command.replace("PATH", repr(str(path))), {})
    assert load_checkpoint(tmp_path / "weights.pth").num_classes == CLASSES


def test_a_rank_of_zero_3(tmp_path: Path) -> None:
    path = tmp_path / "zero_pp_rank_0_mp_rank_00_model_states.pt"
    parts = {key: t if "running" in key or "num_b" in key else t.flatten()[:0] for key, t in state_dict().items()}
    torch.save({"module": parts}, path)
    assert re.search(r": \d+ of its \d+ tensors have no elements, .* zero_to_fp32\.py \. whole", refusal(path))


def test_what_is_in_no_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    packed = {"classifier.1._packed_params._packed_params": (torch.ones(2), None)}
    torch.save(state_dict() | packed, path)
    assert "classifier.1 is a quantized layer; float weights are needed" in refusal(path)
    torch.save({key: tensor.numpy() for key, tensor in state_dict().items()}, path)
    assert "a state dict of numpy arrays" in refusal(path)


@pytest.mark.parametrize("name", ["b0.pth", "b0.safetensors"])
def test_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert "the file is empty" in refusal(path)


@pytest.mark.parametrize("kept", [0.001, 0.5, 0.999])
def test_truncated_pth(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "b0.pth"
    torch.save(state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert "not a complete PyTorch weight file: truncated, damaged" in refusal(path)


@pytest.mark.parametrize("kept", [0.00001, 0.001, 0.5, 0.999])
def test_truncated_safetensors(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "b0.safetensors"
    save_file(state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert "not a complete safetensors file" in refusal(path)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>404</html>", b"hello", b"\x80", b"PK\x03\x04", bytes(64)])
@pytest.mark.parametrize("name", ["b0.pth", "b0.safetensors"])
def test_other_formats(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "download or copy it again" in refusal(path)


def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "b0.pth"
    torch.save({"state_dict": state_dict(), "extra": RunsCode(marker)}, path)
    message = refusal(path)
    assert "refused, because unpickling it would run posix.mkdir" in message
    assert "torch.save(model.state_dict(), PATH)" in message
    assert not marker.exists()


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b0.pth"
    torch.save(nn.Linear(2, 2), path)
    assert "would run torch.nn.modules.linear.Linear" in refusal(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2, 3], "holds a list, not a state dict"),
        ({"epoch": 3, "best": 0.5}, "no weights inside .keys: 'epoch', 'best'."),
        ({}, "no weights inside .keys: none."),
        ({"state_dict": {}}, "no weights inside .keys: 'state_dict'."),
    ],
)
def test_no_weights_inside(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "b0.pth"
    torch.save(content, path)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path, "b0")


@pytest.mark.parametrize("name", ["b0.pth", "b0.pt", "b0.bin", "B0.SAFETENSORS", "weights"])
def test_formats_load(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "B0.SAFETENSORS":
        save_file(state_dict(), path)
    else:
        torch.save(state_dict(), path)
    checkpoint = load_checkpoint(str(path), "b0")
    assert checkpoint.origin == "torchvision"
    assert checkpoint.sha256 == sha256_of(path)
    assert len(checkpoint.sha256) == 64


def test_the_format_of_old_torch_releases_loads(tmp_path: Path) -> None:
    path = tmp_path / "b0.pth"
    torch.save(state_dict(), path, _use_new_zipfile_serialization=False)
    assert load_checkpoint(path, "b0").spec.name == "b0"


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
