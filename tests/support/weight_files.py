"""State dicts in the layouts of the packages whose files we load, made from a network of our own."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import torch

from edge_effnet import Checkpoint, EfficientNet, load_checkpoint
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


def load_saved(content: Any, path: Path, *arguments: Any, **options: Any) -> Checkpoint:
    """What `load_checkpoint` makes of a file that holds this."""
    torch.save(content, path)
    return load_checkpoint(path, *arguments, **options)


class RunsCode:
    """Makes a folder where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)
