"""Networks as people wrap, train and save them: whatever stands around the names, the same logits."""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from edge_effnet import Checkpoint, load_checkpoint
from tests.support import peers
from tests.support.networks import assert_same_outputs, images, trained_looking
from tests.support.refusals import refusal_of

CLASSES = 7
FEATURES = 1280
SIZE = 96


@functools.cache
def _trained(name: str) -> nn.Module:
    if name.startswith("torchvision/"):
        made = peers.torchvision.models.get_model(name.partition("/")[2], weights=None, num_classes=CLASSES)
    elif name.startswith("lukemelas/"):
        made = peers.efficientnet_pytorch.EfficientNet.from_name(
            name.partition("/")[2], num_classes=CLASSES, image_size=None
        )
    else:
        made = peers.timm.create_model(name, num_classes=CLASSES)
    return trained_looking(made, image_size=SIZE)


def trained(name: str) -> nn.Module:
    """A copy that a test may take apart."""
    return copy.deepcopy(_trained(name))


def linear(outputs: int = CLASSES, inputs: int = FEATURES, *, bias: bool = True) -> nn.Linear:
    made = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(made.weight, std=3 / inputs**0.5, generator=torch.Generator().manual_seed(1))
    return made


class Holding(nn.Module):
    """A module that holds another one under a name of its own, as LightningModules and trainers do."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.name = name
        holder: nn.Module = self
        *between, last = name.split(".")
        for part in between:
            holder.add_module(part, nn.Module())
            holder = holder.get_submodule(part)
        holder.add_module(last, inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(self.name)(x)


class HeadOutside(nn.Module):
    """A network without its head, and a Linear of one's own."""

    def __init__(self, name: str, backbone: nn.Module, head_name: str, head: nn.Module) -> None:
        super().__init__()
        self.names = name, head_name
        self.add_module(name, backbone)
        self.add_module(head_name, head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        backbone, head = (getattr(self, name) for name in self.names)
        features = backbone(x)
        return head(features.mean((2, 3)) if features.ndim == 4 else features)


def load(content: Any, folder: Path, **options: Any) -> Checkpoint:
    path = folder / "model.pth"
    torch.save(content, path)
    return load_checkpoint(path, **options)


def assert_parity(theirs: nn.Module, checkpoint: Checkpoint, *, rtol: float = 1e-6) -> None:
    x = images(2, SIZE, seed=3)
    with torch.no_grad():
        assert_same_outputs(checkpoint.model.double()(x.double()), theirs.eval().double()(x.double()), rtol=rtol)


PREFIXES = (
    *("backbone", "net", "base", "base_model", "encoder", "effnet", "feature_extractor", "model.encoder"),
    *("module.backbone", "_orig_mod.module.net", "model._orig_mod.encoder.module"),
)


LAYOUTS = ("torchvision/efficientnet_b0", "efficientnet_b0", "lukemelas/efficientnet-b0")


# What is around names and what the names are is told apart: each prefix with one layout, each layout with several.
@pytest.mark.parametrize(("prefix", "name"), list(zip(PREFIXES, itertools.cycle(LAYOUTS), strict=False)))
def test_any_prefix(name: str, prefix: str, tmp_path: Path) -> None:
    theirs = Holding(prefix, trained(name))
    checkpoint = load({"state_dict": theirs.state_dict(), "epoch": 3}, tmp_path)
    assert any(f"found below '{prefix}.'" in note for note in checkpoint.notes)
    assert_parity(theirs, checkpoint)


@pytest.mark.parametrize("prefix", ["model.model", "_orig_mod.module.model"])
def test_usual_prefixes_are_nothing_to_tell(prefix: str, tmp_path: Path) -> None:
    checkpoint = load(Holding(prefix, trained("lukemelas/efficientnet-b0")).state_dict(), tmp_path)
    assert checkpoint.notes == ()


@pytest.mark.parametrize("name", ["torchvision/efficientnet_b0", "efficientnet_b0"])
def test_wrappers_around_single_stages(name: str, tmp_path: Path) -> None:
    theirs = Holding("net", trained(name))
    stages = theirs.net.features if "/" in name else theirs.net.blocks
    wrapped = copy.deepcopy(theirs)
    for index in range(len(stages)):
        inner = wrapped.net.features if "/" in name else wrapped.net.blocks
        inner[index] = torch.compile(inner[index])
    assert any("._orig_mod." in key for key in wrapped.state_dict())
    assert_parity(theirs, load(wrapped.state_dict(), tmp_path))
    for wrapper in ("_checkpoint_wrapped_module", "_fsdp_wrapped_module"):
        content = {k.replace("_orig_mod", wrapper): v for k, v in wrapped.state_dict().items()}
        assert_parity(theirs, load(content, tmp_path))


def test_pruned_weights_and_their_masks(tmp_path: Path) -> None:
    theirs = trained("torchvision/efficientnet_b0")
    for layer in (theirs.features[2][0].block[0][0], theirs.classifier[1]):
        prune.random_unstructured(layer, "weight", 0.3)
    checkpoint = load(theirs.state_dict(), tmp_path)
    assert checkpoint.notes == ("Pruned weights were multiplied by their masks (2 layers).",)
    assert_parity(theirs, checkpoint)


def test_batch_norms_that_were_folded(tmp_path: Path) -> None:
    theirs = trained("torchvision/efficientnet_b0")
    blocks = [m for m in theirs.modules() if isinstance(m, nn.Sequential) and isinstance(m[0], nn.Conv2d)]
    for block in blocks:
        block[0], block[1] = nn.utils.fuse_conv_bn_eval(block[0].eval(), block[1].eval()), nn.Identity()
    checkpoint = load(theirs.state_dict(), tmp_path)
    assert checkpoint.notes == (f"BatchNorm had been folded into {len(blocks)} convolutions before saving.",)
    assert_parity(theirs, checkpoint, rtol=1e-4)  # 1 less eps is no float32


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("shape", [(3,), (1, 3, 1, 1)])
def test_buffers_that_normalise_images_are_their_preprocessing(
    shape: tuple[int, ...], scale: float, tmp_path: Path
) -> None:
    theirs = Holding("net", trained("torchvision/efficientnet_b0"))
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.21)
    theirs.register_buffer("pixel_mean", scale * torch.tensor(mean).view(shape))
    theirs.register_buffer("pixel_std", scale * torch.tensor(std).view(shape))
    checkpoint = load(theirs.state_dict(), tmp_path)
    assert (checkpoint.preprocess.mean, checkpoint.preprocess.std) == (mean, std)
    assert any("'pixel_mean' and 'pixel_std' are what" in note for note in checkpoint.notes)
    assert_parity(theirs, checkpoint)
    other = load(theirs.state_dict(), tmp_path, mean=[0.1])
    assert (other.preprocess.mean, other.preprocess.std) == ((0.1,) * 3, std)


@pytest.mark.parametrize("names", [("target_mean", "target_std"), ("mean", "scale"), ("a.mean", "b.std")])
def test_other_buffers_of_three_numbers_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    content = trained("torchvision/efficientnet_b0").state_dict() | {name: torch.full((3,), 0.5) for name in names}
    assert f"there are {names[0]}, {names[1]}, which may take part" in refusal(content, tmp_path)


def headless(name: str) -> nn.Module:
    network = trained(name)
    if name.startswith("torchvision/"):
        network.classifier = nn.Identity()
    elif name.startswith("lukemelas/"):
        network._fc = nn.Identity()
    else:
        network.reset_classifier(0)
    return network


@pytest.mark.parametrize(
    ("head", "name"),
    [
        *((head, "torchvision/efficientnet_b0") for head in ("fc", "classifier", "head", "last_linear", "my_own")),
        *(("classifier", "tf_efficientnet_b0"), ("fc", "lukemelas/efficientnet-b0")),
    ],
)
def test_a_head_outside_of_the_prefix(name: str, head: str, tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", headless(name), head, linear())
    checkpoint = load(theirs.state_dict(), tmp_path, origin="timm-tf" if name.startswith("tf_") else None)
    assert any(f"The Linear '{head}' was taken" in note for note in checkpoint.notes)
    assert_parity(theirs, checkpoint)


def replaced(name: str, where: str, head: nn.Module) -> nn.Module:
    network = trained(name)
    setattr(network, where, head)
    return network


def head_fc() -> nn.Module:
    head = nn.Module()
    head.fc = linear()
    head.forward = head.fc.forward  # type: ignore[method-assign]
    return head


HEADS: dict[str, Callable[[], nn.Module]] = {
    "classifier": lambda: replaced("torchvision/efficientnet_b0", "classifier", linear()),
    "classifier.0": lambda: replaced("torchvision/efficientnet_b0", "classifier", nn.Sequential(linear())),
    "classifier.4": lambda: replaced(
        "efficientnet_b0",
        "classifier",
        nn.Sequential(nn.Dropout(), nn.Identity(), nn.Flatten(), nn.Dropout(), linear()),
    ),
    "_fc.1": lambda: replaced("lukemelas/efficientnet-b0", "_fc", nn.Sequential(nn.Dropout(0.3), linear())),
    "classifier.fc": lambda: replaced("efficientnet_b0", "classifier", head_fc()),
    "head.fc": lambda: HeadOutside("backbone", headless("efficientnet_b0"), "head", head_fc()),
    "fc, no bias": lambda: HeadOutside("model", headless("efficientnet_b0"), "fc", linear(bias=False)),
}


@pytest.mark.parametrize("name", HEADS)
def test_one_linear_anywhere_is_the_classifier(name: str, tmp_path: Path) -> None:
    theirs = HEADS[name]()
    checkpoint = load({"model_state_dict": theirs.state_dict()}, tmp_path)
    assert any("was taken as the classifier" in note for note in checkpoint.notes)
    assert_parity(theirs, checkpoint)


def test_a_convolution_of_one_pixel_is_a_linear(tmp_path: Path) -> None:
    conv = nn.Conv2d(FEATURES, CLASSES, 1)
    nn.init.normal_(conv.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    features = trained("torchvision/efficientnet_b0").features
    theirs = HeadOutside("features", features, "classifier", conv)
    theirs.forward = lambda x: conv(features(x)).mean((2, 3))  # type: ignore[method-assign]
    assert_parity(theirs, load(theirs.state_dict(), tmp_path))


def test_parts_of_a_network_in_a_sequential(tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", trained("torchvision/efficientnet_b0").features, "fc", linear())
    assert_parity(theirs, load(theirs.state_dict(), tmp_path))
    cut = nn.Sequential(*list(trained("torchvision/efficientnet_b0").children())[:-1], nn.Flatten())
    theirs = HeadOutside("body", cut, "fc", linear())
    assert_parity(theirs, load(theirs.state_dict(), tmp_path))
    cut = nn.Sequential(*list(trained("efficientnet_b0").children())[:-1])
    theirs = HeadOutside("body", cut, "fc", linear())
    assert_parity(theirs, load(theirs.state_dict(), tmp_path))


@pytest.mark.parametrize("name", ["torchvision/efficientnet_v2_s", "efficientnetv2_rw_t", "efficientnet_es"])
def test_other_families_in_the_same_ways(name: str, tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", headless(name), "fc", linear(inputs=1024 if name.endswith("_t") else FEATURES))
    assert_parity(theirs, load(theirs.state_dict(), tmp_path, origin=None if "/" in name else "timm"))
    whole = trained(name)
    body = whole.features if "/" in name else nn.Sequential(*list(whole.children())[:-1])
    theirs = HeadOutside("body", body, "fc", theirs.fc)
    assert_parity(theirs, load(theirs.state_dict(), tmp_path, origin=None if "/" in name else "timm"))


def test_modules_saved_under_keys_of_their_own(tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", headless("efficientnet_b0"), "fc", linear())
    modules = {name: getattr(theirs, name).state_dict() for name in ("backbone", "fc")}
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    sum(p.sum() for p in theirs.parameters()).backward()
    optimizer.step()
    saved = {**modules, "optimizer": optimizer.state_dict(), "best": torch.tensor(0.5)}
    modules = {name: getattr(theirs, name).state_dict() for name in ("backbone", "fc")}
    checkpoint = load(saved | modules, tmp_path)
    assert any("Left out, as no part of the network: optimizer." in note for note in checkpoint.notes)
    assert_parity(theirs, checkpoint)
    network, head = headless("efficientnet_b0"), linear()
    checkpoint = load({"model": network.state_dict(), "head": head.state_dict()}, tmp_path)
    assert_parity(nn.Sequential(network, head), checkpoint)


def test_what_cannot_belong_to_the_forward_pass_is_named_and_left_out(tmp_path: Path) -> None:
    theirs = Holding("model", trained("efficientnet_b0"))
    theirs.criterion = nn.CrossEntropyLoss(weight=torch.ones(CLASSES))
    theirs.loss = nn.BCEWithLogitsLoss(pos_weight=torch.ones(CLASSES))
    theirs.temperature = nn.Parameter(torch.tensor(1.5))
    theirs.val_acc = nn.Module()
    theirs.val_acc.register_buffer("tp", torch.zeros(CLASSES))
    theirs.register_buffer("num_updates", torch.tensor(5))
    checkpoint = load({"state_dict": theirs.state_dict(), "hyper_parameters": {"lr": 0.1}}, tmp_path)
    note = next(note for note in checkpoint.notes if note.startswith("Left out, as no part of the forward pass"))
    for name in ("criterion.weight", "loss.pos_weight", "temperature", "val_acc.tp", "num_updates"):
        assert name in note
    assert_parity(theirs, checkpoint)


@pytest.mark.parametrize("inner", ["", "backbone."])
def test_a_second_copy_of_averaged_weights(inner: str, tmp_path: Path) -> None:
    averaged = trained("efficientnet_b0").state_dict()
    last = {key: torch.zeros_like(tensor) for key, tensor in averaged.items()}
    content = {f"model.{inner}{k}": v for k, v in last.items()}
    content |= {f"model_ema.module.{inner}{k}": v for k, v in averaged.items()}
    checkpoint = load({"state_dict": content}, tmp_path)
    assert any("averaged copy" in note and "model_ema.module." in note for note in checkpoint.notes)
    assert_parity(trained("efficientnet_b0"), checkpoint)


def refusal(content: Any, folder: Path) -> str:
    return refusal_of(load, content, folder)


def test_two_networks_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    tensors = trained("efficientnet_b0").state_dict()
    content = {f"{name}.{k}": v for name in ("student", "teacher") for k, v in tensors.items()}
    message = refusal(content, tmp_path)
    assert "holds 2 networks, below 'student.' and 'teacher.'" in message
    message = refusal({"student": tensors, "teacher": tensors}, tmp_path)
    assert "'student.' and 'teacher.'" in message


def test_a_whole_second_network_beside_the_first_is_named(tmp_path: Path) -> None:
    tensors = trained("efficientnet_b0").state_dict()
    zeros = {key: torch.zeros_like(tensor) for key, tensor in tensors.items()}
    checkpoint = load({"model": tensors, "best_model": zeros}, tmp_path)
    assert any("Left out, as another network: best_model." in note for note in checkpoint.notes)
    assert_parity(trained("efficientnet_b0"), checkpoint)


def test_a_second_head_is_refused_and_named(tmp_path: Path) -> None:
    network = trained("efficientnet_b0")
    network.colour = linear(3)
    message = refusal(network.state_dict(), tmp_path)
    assert "there are colour.weight, colour.bias, which may take part" in message


def test_a_layer_after_the_classifier_is_refused_and_named(tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", trained("efficientnet_b0"), "fc", linear(3, CLASSES))
    message = refusal(theirs.state_dict(), tmp_path)
    assert "fc.weight, fc.bias, and tensors do not tell" in message and "--head linear-relu-linear" in message


def test_two_heads_outside_are_refused_and_named(tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", headless("efficientnet_b0"), "a", linear())
    theirs.b = linear(3)
    message = refusal(theirs.state_dict(), tmp_path)
    assert "a.weight, a.bias, b.weight, b.bias" in message


@pytest.mark.parametrize("norm", [False, True])
def test_a_head_of_several_layers_is_refused_and_named(norm: bool, tmp_path: Path) -> None:
    middle = [nn.BatchNorm1d(64)] if norm else []
    network = replaced(
        "efficientnet_b0", "classifier", nn.Sequential(linear(64), *middle, nn.ReLU(), linear(CLASSES, 64))
    )
    message = refusal(network.state_dict(), tmp_path)
    assert "head" in message and "classifier.0.weight" in message
    assert f"classifier.{3 if norm else 2}.weight" in message


def test_a_layer_between_is_refused_and_named(tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", headless("efficientnet_b0"), "fc", linear())
    theirs.norm = nn.LayerNorm(FEATURES)
    message = refusal(theirs.state_dict(), tmp_path)
    assert "norm.weight, norm.bias, and tensors do not tell" in message and "--head layernorm-linear" in message


def test_a_cosine_head_is_no_linear(tmp_path: Path) -> None:
    theirs = HeadOutside("backbone", headless("efficientnet_b0"), "arcface", linear(bias=False))
    assert "arcface.weight" in refusal(theirs.state_dict(), tmp_path)


def test_a_checkpoint_of_timms_train_script(tmp_path: Path) -> None:
    theirs = trained("tf_efficientnet_b0")
    args = argparse.Namespace(
        model="tf_efficientnet_b0.ns_jft_in1k", img_size=192, mean=[0.5, 0.5, 0.5], std=None, crop_pct=0.9,
        interpolation="bilinear", num_classes=CLASSES, class_map="", input_size=None,
    )  # fmt: skip
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    saved = {"epoch": 4, "arch": "tf_efficientnet_b0.ns_jft_in1k", "state_dict": theirs.state_dict(),
             "optimizer": optimizer.state_dict(), "version": 2, "args": args, "metric": 77.1}  # fmt: skip
    checkpoint = load(saved, tmp_path)
    assert checkpoint.origin == "timm-tf"
    config = peers.timm.data.resolve_data_config(vars(args), model=theirs)
    ours = checkpoint.preprocess
    assert (ours.crop, ours.interpolation, ours.mean, ours.std) == (
        config["input_size"][-1],
        config["interpolation"],
        tuple(config["mean"]),
        tuple(config["std"]),
    )
    assert ours.resize == int(192 / 0.9)
    assert any("The file's args says how images were prepared" in note for note in checkpoint.notes)
    assert_parity(theirs, checkpoint)


def test_a_checkpoint_of_lightning(tmp_path: Path) -> None:
    theirs = Holding("backbone", trained("tf_efficientnet_b0"))
    theirs.criterion = nn.CrossEntropyLoss(weight=torch.ones(CLASSES))
    optimizer = torch.optim.AdamW(theirs.parameters())
    names = [f"class {i}" for i in range(CLASSES)]
    saved = {
        "epoch": 1,
        "global_step": 10,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": theirs.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_acc'}": {"best_model_score": torch.tensor(0.9)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"model_name": "tf_efficientnet_b0", "class_names": names, "img_size": 128},
    }
    checkpoint = load(saved, tmp_path)
    assert (checkpoint.origin, checkpoint.preprocess.crop) == ("timm-tf", 128)
    assert checkpoint.class_names == tuple(names)
    assert_parity(theirs, checkpoint)
