"""Heads of modules in memory, whatever their forward pass is: in words where there are some, else as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edge_effnet import EfficientNet, InputError, load_module
from edge_effnet.in_memory.head import CARRIED
from edge_effnet.in_memory.load import require_same
from tests.support.networks import norms_as_trained, trained_looking
from tests.support.tiny import SIDE
from tests.support.training import TINY

pytestmark = pytest.mark.usefixtures("tiny_variant")

FEATURES = TINY.head_channels


class WithHead(nn.Module):
    """The tiny network's features, and what a function makes of them with some layers."""

    def __init__(self, head: Callable[[WithHead, torch.Tensor], torch.Tensor], **layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = EfficientNet(TINY, image_size=SIDE, include_top=False)
        trained_looking(self.net, image_size=SIDE)
        for name, layer in layers.items():
            self.add_module(name, layer)
        norms_as_trained(self)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self, self.net(x))


def linear(inputs: int = FEATURES, outputs: int = 3, *, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias)


def sequential() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Flatten(), nn.BatchNorm1d(FEATURES, eps=1e-3), linear(FEATURES, 6), nn.GELU(), nn.Dropout(0.2)),
        *(nn.LayerNorm(6), linear(6)),
    )


# The module, its head in words, and what follows the logits.
TOLD: dict[str, tuple[Callable[[], WithHead], str, str | None]] = {
    "a function between": (
        lambda: WithHead(lambda m, f: m.b(F.relu(m.a(f.flatten(1)))), a=linear(FEATURES, 6), b=linear(6)),
        "linear-relu-linear",
        None,
    ),
    "a Sequential": (
        lambda: WithHead(lambda m, f: m.a(f), a=sequential()),
        "batchnorm:0.001-linear-gelu-layernorm:0.00001-linear",
        None,
    ),
    "softmax": (lambda: WithHead(lambda m, f: m.a(f.flatten(1)).softmax(-1), a=linear()), "linear", "softmax"),
    "sigmoid": (
        lambda: WithHead(lambda m, f: m.a(f.flatten(1)).sigmoid(), a=linear(bias=False)),
        "linear",
        "sigmoid",
    ),
    "PReLU": (
        lambda: WithHead(lambda m, f: m.b(m.p(m.a(f.flatten(1)))), a=linear(FEATURES, 6), p=nn.PReLU(), b=linear(6)),
        "linear-leakyrelu:0.25-linear",
        None,
    ),
    "a temperature": (
        lambda: WithHead(lambda m, f: m.a(f.flatten(1)) / 2.5, a=linear()),
        "linear-batchnorm:0.00001",
        None,
    ),
    "convolutions": (
        lambda: WithHead(
            lambda m, f: m.b(F.hardswish(m.a(f))).flatten(1), a=nn.Conv2d(FEATURES, 6, 1), b=nn.Conv2d(6, 3, 1)
        ),
        "linear-hardswish-linear",
        None,
    ),
    "none": (lambda: WithHead(lambda m, f: f.flatten(1)), "none", None),
}


@pytest.mark.parametrize("name", TOLD)
def test_in_words(name: str) -> None:
    module, words, output = TOLD[name]
    checkpoint = load_module(module())
    assert (checkpoint.model.head_steps, checkpoint.output) == (words, output)
    require_same(checkpoint, [torch.randn(3, 3, SIDE, SIDE)], "images")


CARRIED_HEADS: dict[str, Callable[[], WithHead]] = {
    "a shortcut": lambda: WithHead(
        lambda m, f: m.b(F.relu(m.a(f.flatten(1)))) + m.c(f.flatten(1)),
        a=linear(FEATURES, 6),
        b=linear(6),
        c=linear(),
    ),
    "a gate": lambda: WithHead(
        lambda m, f: m.b(f.flatten(1) * m.a(f.flatten(1)).sigmoid()), a=linear(FEATURES, FEATURES), b=linear()
    ),
    "normalised weights": lambda: WithHead(
        lambda m, f: 8 * F.linear(F.normalize(f.flatten(1)), F.normalize(m.a.weight)), a=linear(bias=False)
    ),
}


@pytest.mark.parametrize("name", CARRIED_HEADS)
def test_carried_as_they_are(name: str) -> None:
    checkpoint = load_module(CARRIED_HEADS[name]())
    assert (checkpoint.model.head_steps, checkpoint.num_classes) == (CARRIED, 3)
    require_same(checkpoint, [torch.randn(3, 3, SIDE, SIDE)], "images")


def test_another_pooling_is_refused() -> None:
    module = WithHead(lambda m, f: m.a(f), a=linear())
    features = module.net.extract_features
    module.forward = lambda x: module.a(features(x).amax((2, 3)))  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"other than the mean of the last features over all pixels .*net, a"):
        load_module(module)
    assert load_module(module, head="none").model.head_steps == "none"
