"""Modules that are read through what stands around them, and those that are refused in one sentence."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from edge_effnet import EfficientNet, InputError, load_module
from edge_effnet.in_memory.load import require_same
from tests.support.networks import trained_looking
from tests.support.refusals import refusal_of
from tests.support.tiny import SIDE
from tests.support.training import TINY

pytestmark = pytest.mark.usefixtures("tiny_variant")


def tiny_network(**settings: Any) -> EfficientNet:
    torch.manual_seed(0)
    network = EfficientNet(TINY, num_classes=3, image_size=SIDE, **settings)
    trained_looking(network, image_size=SIDE)
    return network


class Holder(nn.Module):
    """Holds networks, and runs the first one."""

    def __init__(self, **networks: nn.Module) -> None:
        super().__init__()
        for name, network in networks.items():
            self.add_module(name, network)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return next(self.children())(x)


class Renamed(Holder):
    """The same layers under two names."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__(base=network)
        self.features = self.base.stages


class Normalising(Holder):
    """Takes images as they are, and normalises them by itself."""

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__(net=network)
        self.register_buffer("mean", scale * torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
        self.register_buffer("std", scale * torch.tensor([0.25, 0.2, 0.21]).view(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net((x - self.mean) / self.std)


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_a_module_that_normalises_its_images(scale: float) -> None:
    checkpoint = load_module(Normalising(tiny_network(), scale))
    assert (checkpoint.preprocess.mean, checkpoint.preprocess.std) == ((0.5, 0.4, 0.3), (0.25, 0.2, 0.21))
    require_same(checkpoint, [torch.randn(2, 3, SIDE, SIDE)], "images")


class Unsaved(Normalising):
    """The same, with buffers that its state dict has not."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network, 1.0)
        for name in ("mean", "std"):
            self.register_buffer(name, getattr(self, name), persistent=False)


class Listed(nn.Module):
    """As torchvision's Normalize: numbers in lists, no tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = [0.5, 0.4, 0.3], [0.25, 0.2, 0.21]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, std = (torch.tensor(row, dtype=x.dtype).view(1, 3, 1, 1) for row in (self.mean, self.std))
        return (x - mean) / std


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize(
    "make", [lambda net: Normalising(net, 1.0), Unsaved, lambda net: nn.Sequential(Listed(), net)]
)
def test_mean_and_std_wherever_a_module_keeps_them(make: Any, head: bool) -> None:
    network: nn.Module = tiny_network()
    if head:
        network = nn.Sequential(network, nn.Linear(3, 4))
    checkpoint = load_module(make(network))
    assert (checkpoint.preprocess.mean, checkpoint.preprocess.std) == ((0.5, 0.4, 0.3), (0.25, 0.2, 0.21))


def test_images_that_are_changed_otherwise_are_said_to_be() -> None:
    class Scaling(Holder):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x / 255)

    for module in (Scaling(net=tiny_network()), Scaling(net=nn.Sequential(tiny_network(), nn.Linear(3, 4)))):
        message = refusal_of(load_module, module)
        assert "the images are changed before they reach" in message and "outputs instead of" not in message


def as_frozen(layer: nn.Module) -> nn.Module:
    """Another class in place of BatchNorm2d, as torchvision's and timm's FrozenBatchNorm2d."""
    frozen = nn.Module()
    frozen.eps = layer.eps
    for name, tensor in layer.state_dict().items():
        frozen.register_buffer(name, tensor)

    def forward(x: torch.Tensor) -> torch.Tensor:
        values = (getattr(frozen, name) for name in ("running_mean", "running_var", "weight", "bias"))
        return nn.functional.batch_norm(x, *values, False, 0.0, frozen.eps)

    frozen.forward = forward  # type: ignore[method-assign]
    return frozen


class Stranger(nn.Module):
    """The network's layers in a class that says nothing of how they were built."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        for name, child in network.named_children():
            self.add_module(name, child)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, child in self.named_children():
            x = child(x.mean((2, 3)) if name == "classifier" else x)
        return x


def frozen(network: nn.Module) -> nn.Module:
    for layer in [*network.modules()]:
        for name, child in [*layer.named_children()]:
            if isinstance(child, nn.BatchNorm2d):
                setattr(layer, name, as_frozen(child))
    return network


@pytest.mark.parametrize("change", [lambda net: net, nn.SyncBatchNorm.convert_sync_batchnorm, frozen])
def test_eps_of_any_class_of_norm(change: Any) -> None:
    assert load_module(Stranger(change(tiny_network(bn_eps=0.02)))).model.bn_eps == 0.02


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_norms_of_weights_are_named(kind: str) -> None:
    network = tiny_network()
    getattr(torch.nn.utils, kind)(network.classifier)
    with pytest.raises(
        InputError, match=rf"has {kind} \(classifier\); torch\.nn\.utils\.remove_{kind}\(LAYER\) bakes"
    ):
        load_module(network)


def test_single_stages_that_are_compiled_are_not_compiled_for_it() -> None:
    network = tiny_network()
    for index in range(len(network.stages)):
        network.stages[index] = torch.compile(network.stages[index])
    checkpoint = load_module(network)
    assert checkpoint.spec.name == "lite0" and "_orig_mod" in "".join(network.state_dict())


def test_pruned_layers_are_named() -> None:
    network = tiny_network()
    prune.random_unstructured(network.classifier, "weight", 0.3)
    with pytest.raises(InputError, match=r"has pruned layers \(classifier\); torch.nn.utils.prune.remove bakes"):
        load_module(network)


def test_wrappers_are_taken_off() -> None:
    network = tiny_network(activation="hardswish", padding="symmetric", bn_eps=0.01)
    for module in (
        network,
        nn.DataParallel(network),
        torch.compile(network),
        torch.compile(nn.DataParallel(network)),
        Holder(net=network),
        Renamed(network),
    ):
        checkpoint = load_module(module)
        assert checkpoint.spec.name == "lite0" and checkpoint.preprocess.crop == SIDE
        assert (checkpoint.model.padding, checkpoint.model.activation) == ("symmetric", "hardswish")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_converted_and_said(dtype: torch.dtype) -> None:
    checkpoint = load_module(tiny_network().to(dtype))
    assert any(f"The weights are of {dtype}; a copy in float32" in note for note in checkpoint.notes)


def hooked() -> nn.Module:
    network = tiny_network()
    network.stages.register_forward_hook(lambda *_: None)
    return network


def normed() -> nn.Module:
    network = tiny_network()
    torch.nn.utils.parametrizations.weight_norm(network.classifier)
    return network


def fake_quantized() -> nn.Module:
    network = tiny_network()
    network.dropout = torch.ao.quantization.FakeQuantize()
    return network


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and still around
        return torch.jit.trace(tiny_network(), torch.zeros(1, 3, SIDE, SIDE))


def unfinished() -> nn.Module:
    network = tiny_network()
    network.forward = lambda x, y: x  # type: ignore[method-assign]
    return network


def unpooled() -> nn.Module:
    network = tiny_network()
    network.forward = network.extract_features  # type: ignore[method-assign]
    return network


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda: "model.pth", "got a str; need a torch.nn.Module in memory (weights= takes files)."),
        (lambda: nn.Linear(3, 3), "Linear: no EfficientNet in a layout known here"),
        (lambda: Holder(student=tiny_network(), teacher=tiny_network()), "such as model.student."),
        (lambda: tiny_network().to("meta"), "on the meta device"),
        (hooked, "has forward hooks (stages)"),
        (normed, "has parametrized layers (classifier)"),
        (fake_quantized, "is quantized already (dropout: FakeQuantize)"),
        (scripted, "is TorchScript"),
        (unfinished, "fails on images of [2, 3, 32, 32]"),
        (unpooled, "wrap it in a module that puts out one tensor [N, outputs]."),
    ],
)
def test_refused_in_one_sentence(module: Any, words: str) -> None:
    assert words in refusal_of(load_module, module())


class Odd(Holder):
    """Something else on batches of three."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (2 if len(x) == 3 else 1)


def test_a_difference_on_later_images_is_found_too() -> None:
    checkpoint = load_module(Odd(net=tiny_network()))
    with pytest.raises(InputError, match="calibration images"):
        require_same(checkpoint, [torch.randn(3, 3, SIDE, SIDE)], "calibration images")
