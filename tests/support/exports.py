"""Networks that this process has exported before are not exported again: a third of a small run's time."""

from __future__ import annotations

import copy
import hashlib
import io
import pickle
from collections import OrderedDict
from typing import Any

import torch
from torch import fx, nn

from edge_effnet import EfficientNet, VariantSpec
from edge_effnet.fuse import fold_for_inference
from quant.common.quiet import quiet_libraries
from quant.graph.export import export_graph
from tests.support.networks import trained_looking

_MOST = 16
"""Graphs kept; a B0's takes 20 MB."""
_GRAPHS: OrderedDict[tuple[str, int, int], fx.GraphModule] = OrderedDict()


def export_once(model: nn.Module, image_size: int, in_channels: int = 3) -> fx.GraphModule:
    """As `export_graph`; a graph of its own for every call."""
    name = _digest(model)
    if name is None:
        return export_graph(model, image_size, in_channels)
    key = name, image_size, in_channels
    with quiet_libraries():
        if key not in _GRAPHS:
            _GRAPHS[key] = copy.deepcopy(export_graph(model, image_size, in_channels))
        _GRAPHS.move_to_end(key)
        while len(_GRAPHS) > _MOST:
            _GRAPHS.popitem(last=False)
        return copy.deepcopy(_GRAPHS[key])


def exported(variant: str | VariantSpec, size: int, *, channels: int = 3, **settings: Any) -> fx.GraphModule:
    """The float graph of a network of five classes that looks trained, folded."""
    model = EfficientNet.from_name(variant, num_classes=5, image_size=size, in_channels=channels, **settings)
    return export_once(fold_for_inference(trained_looking(model, image_size=size), size), size, channels)


def _digest(model: nn.Module) -> str | None:
    """Of its structure, weights and settings; None of one that cannot be written."""
    written = io.BytesIO()
    try:
        torch.save(model, written)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return hashlib.sha256(written.getbuffer()).hexdigest()


def forget() -> None:
    """Have everything exported again."""
    _GRAPHS.clear()
