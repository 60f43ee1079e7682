"""State dicts in the layouts of the packages whose files we load, made from a network of our own."""

from __future__ import annotations

import functools

import torch

from edge_effnet import EfficientNet
from edge_effnet.weights.layouts import LAYOUTS
from tests.support.networks import trained_looking

CLASSES = 5


def network(variant: str = "b0") -> EfficientNet:
    """Shared between tests, which must not change it."""
    return _network(variant)


@functools.cache
def _network(variant: str) -> EfficientNet:
    model = EfficientNet.from_name(variant, num_classes=CLASSES)
    trained_looking(model, image_size=96)
    return model


def state_dict(layout: str = "torchvision", variant: str = "b0") -> dict[str, torch.Tensor]:
    """A new dict of shared tensors: replace them, do not write into them."""
    model = network(variant)
    tensors = model.state_dict()
    names = LAYOUTS[layout].theirs(model.spec, tensors)
    return {names[name]: tensor for name, tensor in tensors.items()}
