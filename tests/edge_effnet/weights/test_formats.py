"""Each format that people try: told by its bytes, whatever its name, with what makes a usable file."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edge_effnet import InputError, load_checkpoint
from tests.support import peers
from tests.support.refusals import refusal_of
from tests.support.weight_files import CLASSES, state_dict


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def zipped(path: Path, **files: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)


def onnx(path: Path) -> None:
    # What torch.onnx.export begins with: the format's version, the producer, its version, the graph.
    path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x052.4.0:" + bytes(1000))


def exported(path: Path) -> None:
    torch.export.save(torch.export.export(Small().eval(), (torch.zeros(1, 3, 8, 8),)), path)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        content = io.BytesIO(b"weights")
        entry = tarfile.TarInfo("model.pth")
        entry.size = 7
        archive.addfile(entry, content)


def plain_pickle(protocol: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(pickle.dumps(state_dict(), protocol=protocol))


def npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


def keras(path: Path) -> None:
    zipped(path, metadata_dot_json=b"{}", config_dot_json=b"{}", model_dot_weights_dot_h5=b"\x89HDF\r\n\x1a\n")


FOREIGN: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "ONNX": (onnx, "an ONNX model", "torch.save(model.state_dict()"),
    "Keras h5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "HDF5", "torch.save("),
    "Keras": (keras, "a Keras model", "torch.save("),
    "TFLite": (lambda p: p.write_bytes(b"\x20\0\0\0TFL3" + bytes(99)), "a TensorFlow Lite model", "torch.save("),
    "pte": (lambda p: p.write_bytes(b"\x30\0\0\0ET12eh00" + bytes(99)), "an ExecuTorch program", "torch.save("),
    "pt2": (exported, "a program of torch.export", "torch.export.load(PATH)"),
    "git LFS": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 21444401\n"),
        "a pointer of git LFS",
        "git lfs pull",
    ),
    "HTML": (lambda p: p.write_bytes(b"\n<!DOCTYPE html>\n<html>404</html>"), "an HTML page", "download"),
    "XHTML": (lambda p: p.write_text('<?xml version="1.0"?>\n<!DOCTYPE html>\n<html>'), "an HTML page", "download"),
    "XML": (
        lambda p: p.write_text('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'),
        'an XML file, not weights (<?xml version="1.0"?> <Error><Code>AccessDenied',
        "download or copy it again",
    ),
    "OpenVINO": (
        lambda p: p.write_text('<?xml version="1.0"?>\n<net name="Model0" version="11">\n\t<layers>'),
        "a model of OpenVINO",
        "torch.save(model.state_dict()",
    ),
    "Core ML": (
        # A version, a description of 200 bytes, whose first field is a message too.
        lambda p: p.write_bytes(b"\x08\x04\x12\xc8\x01\x0a\x10\x0a\x05image" + bytes(999)),
        "a Core ML model",
        "torch.save(model.state_dict()",
    ),
    "short Core ML": (
        lambda p: p.write_bytes(b"\x08\x04\x12\x40\x0a\x10\x0a\x05image" + bytes(999)),
        "a Core ML model",
        "torch.save(",
    ),
    "404": (lambda p: p.write_text("404: Not Found"), "text, not weights (404: Not Found)", "download or copy"),
    "quota": (
        lambda p: p.write_text("Quota exceeded:\n\ntoo many people viewed “it”. " * 99),
        "text, not weights (Quota exceeded: too many people viewed “it”.",
        "download or copy it again",
    ),
    "JSON": (lambda p: p.write_text(json.dumps({"architecture": "b0"})), "a JSON file", "beside it"),
    "long JSON": (lambda p: p.write_text(json.dumps({"a": [1] * 9999})), "a JSON file", "beside it"),
    "pickle 2": (plain_pickle(2), "written by pickle.dump", "pickle.load(open(PATH, 'rb'))"),
    "pickle 4": (plain_pickle(4), "written by pickle.dump", "torch.save(weights"),
    "pickle 5": (plain_pickle(5), "written by pickle.dump", "torch.save(weights"),
    "tar": (tar, "a tar archive", "tarfile.open(PATH)"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(99)), "a compressed file", "unpack it"),
    "zip": (lambda p: zipped(p, model_dot_pth=b"x"), "a zip of other files", "zipfile.ZipFile(PATH)"),
    "npz": (npz, "arrays of NumPy", "numpy.load(PATH)"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".own"])
@pytest.mark.parametrize("name", FOREIGN)
def test_each_format_is_named_with_what_to_do(name: str, suffix: str, tmp_path: Path) -> None:
    make, what, remedy = FOREIGN[name]
    path = tmp_path / f"model{suffix}"
    made = tmp_path / "made.pt2"
    make(made)
    made.rename(path)
    message = refusal_of(load_checkpoint, path, begins=f"{path}: ")
    assert what in message and remedy in message


def test_a_whole_model_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    for model in (peers.torchvision.models.efficientnet_b0(num_classes=2), nn.Sequential(nn.Linear(2, 2))):
        for content in (model, {"model": model, "epoch": 3}):
            torch.save(content, path)
            with pytest.raises(
                InputError, match=r"a whole model, not its weights; .*weights_only=False\); torch\.save"
            ):
                load_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".ckpt", ""])
def test_safetensors_by_another_name_load(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    save_file(state_dict(), path)
    assert load_checkpoint(path).num_classes == CLASSES


def test_a_pth_named_safetensors_is_to_be_renamed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save(state_dict(), path)
    with pytest.raises(InputError, match=r"under a name of safetensors; rename it to end in \.pth"):
        load_checkpoint(path)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_a_plain_pickle_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(InputError, match="written by pickle"):
        load_checkpoint(path)
