"""TorchScript archives of the peers' networks: their tensors are read without their code, the same logits."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_effnet import load_checkpoint
from tests.support import peers
from tests.support.networks import assert_same_outputs, images, trained_looking
from tests.support.refusals import refusal_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch's, on its own TorchScript

SIZE = 96
NETWORKS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "torchvision": ("torchvision", lambda: peers.torchvision.models.efficientnet_b0(num_classes=7)),
    "timm": ("timm", lambda: peers.timm.create_model("efficientnet_b0", num_classes=7)),
    "timm-tf": ("timm-tf", lambda: peers.timm.create_model("tf_efficientnet_b0", num_classes=7)),
    "timm-es": ("timm", lambda: peers.timm.create_model("efficientnet_es", num_classes=7)),
    "timm-v2": ("timm-tf", lambda: peers.timm.create_model("tf_efficientnetv2_b0", num_classes=7)),
    "timm-lite": ("timm-tf", lambda: peers.timm.create_model("tf_efficientnet_lite0", num_classes=7)),
}


def scripted(model: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.script(model), path)


def traced(model: nn.Module, path: Path) -> None:
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 3, SIZE, SIZE), check_trace=False), path)


def mobile(model: nn.Module, path: Path) -> None:
    torch.jit.script(model)._save_for_lite_interpreter(str(path))


@pytest.mark.parametrize("write", [scripted, traced, mobile])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_torchscript_holds_its_state_dict(name: str, write: Callable[..., None], tmp_path: Path) -> None:
    origin, build = NETWORKS[name]
    theirs = trained_looking(build(), image_size=SIZE)
    path = tmp_path / "model.ptl"
    write(theirs, path)
    checkpoint = load_checkpoint(path)
    assert checkpoint.origin == origin and checkpoint.notes == ()
    x = images(2, SIZE, seed=3)
    with torch.no_grad():
        assert_same_outputs(checkpoint.model(x), theirs(x), rtol=1e-4)


def test_the_archive_may_be_of_a_wrapped_network(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = trained_looking(NETWORKS["torchvision"][1](), image_size=SIZE)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.backbone(x)

    theirs = Wrapped()
    scripted(theirs, tmp_path / "model.pt")
    x = images(2, SIZE, seed=3)
    with torch.no_grad():
        assert_same_outputs(load_checkpoint(tmp_path / "model.pt").model(x), theirs(x), rtol=1e-4)


def test_a_frozen_archive_has_no_names(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    model = NETWORKS["torchvision"][1]().eval()
    torch.jit.save(torch.jit.freeze(torch.jit.script(model)), path)
    assert "was frozen or optimized for phones" in refusal_of(load_checkpoint, path)


def test_another_activation_is_refused_and_named(tmp_path: Path) -> None:
    model = peers.torchvision.models.efficientnet_b0(num_classes=7)
    model.features[0][2] = nn.Hardswish()
    scripted(model, tmp_path / "model.pt")
    message = refusal_of(load_checkpoint, tmp_path / "model.pt")
    assert "a TorchScript with Hardswish, which this variant has not" in message


class Around(nn.Module):
    """A network, and functions in front of it and behind it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class Halved(Around):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner((x - 0.5) / 0.5)


class Probabilities(Around):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.softmax(self.inner(x), dim=1)


class Gated(Around):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).sigmoid()


class Normalised(Around):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.25))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner((x - self.mean) / self.std)


class Rectified(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1280, 16), nn.Linear(16, 7)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers[1](self.layers[0](x).relu())


def rectified() -> nn.Module:
    network = NETWORKS["timm"][1]()
    network.classifier = Rectified()
    return network.eval()


@pytest.mark.parametrize("write", [scripted, traced])
@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: peers.timm.create_model("efficientnet_b0", global_pool="max").eval(), "adaptive_max_pool2d"),
        (rectified, "relu"),
        (lambda: Halved(NETWORKS["torchvision"][1]().eval()), "div, sub"),
        (lambda: Halved(NETWORKS["timm-tf"][1]().eval()), "div, sub"),
    ],
)
def test_what_a_function_computes_is_refused_and_named(
    build: Callable[[], nn.Module], named: str, write: Callable[..., None], tmp_path: Path
) -> None:
    write(build(), tmp_path / "model.pt")
    assert f"a TorchScript with {named}, which this variant has not" in refusal_of(
        load_checkpoint, tmp_path / "model.pt"
    )


@pytest.mark.parametrize("write", [scripted, traced])
@pytest.mark.parametrize(("wrapper", "output"), [(Probabilities, "softmax"), (Gated, "sigmoid")])
def test_what_follows_the_logits_is_left_out_and_said(
    wrapper: type[Around], output: str, write: Callable[..., None], tmp_path: Path
) -> None:
    write(wrapper(NETWORKS["torchvision"][1]().eval()), tmp_path / "model.pt")
    notes = load_checkpoint(tmp_path / "model.pt").notes
    assert f"The TorchScript ends in a {output}, which was left out; --output {output} adds it." in notes


@pytest.mark.parametrize("write", [scripted, traced])
def test_functions_that_are_read_elsewhere_are_no_others(write: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    write(Normalised(NETWORKS["torchvision"][1]().eval()), path)
    assert load_checkpoint(path).preprocess.mean == (0.5,) * 3
    write(rectified(), path)
    assert load_checkpoint(path, head="linear-relu-linear").model.head_steps == "linear-relu-linear"


@pytest.mark.parametrize("image_size", [SIZE, None])
def test_paddings_of_lukemelas(image_size: int | None, tmp_path: Path) -> None:
    network = peers.efficientnet_pytorch.EfficientNet.from_name("efficientnet-b0", image_size=image_size).eval()
    network.set_swish(memory_efficient=False)
    traced(network, tmp_path / "model.pt")
    assert load_checkpoint(tmp_path / "model.pt").origin == "lukemelas"


def rewritten(path: Path, change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, change(content) if name.endswith("/data.pkl") else content)


def test_an_archive_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "model.pt", tmp_path / "ran"
    scripted(nn.Conv2d(3, 4, 3), path)
    text = f"X{chr(len(str(marker)))}\0\0\0{marker}".encode()
    rewritten(path, lambda data: b"\x80\x02cos\nmkdir\n" + text + b"\x85R.")
    refusal_of(load_checkpoint, path)
    assert not marker.exists()


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_archive_is_a_sentence(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    scripted(nn.Conv2d(3, 4, 3), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    refusal_of(load_checkpoint, path)


def test_a_packed_archive_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    scripted(nn.Conv2d(3, 4, 3), path)
    rewritten(path, lambda data: data + bytes(10**6), zipfile.ZIP_DEFLATED)
    refusal_of(load_checkpoint, path)
