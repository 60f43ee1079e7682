"""What a module says of itself: its tensors, how it was built, and what packages keep beside the network."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.model import EfficientNet
from edge_effnet.weights.containers import Built, Contents
from edge_effnet.weights.described import Described
from edge_effnet.weights.placement import prefixes_of
from edge_effnet.weights.resizing import Resizing
from edge_effnet.weights.save import METADATA_KEY, SavedSettings
from edge_effnet.weights.snapshot import Snapshot, read_snapshot

_ACTIVATIONS = {
    "SiLU": "swish",
    "Swish": "swish",
    "SwishMe": "swish",
    "MemoryEfficientSwish": "swish",
    "SiLUActivation": "swish",
    "Hardswish": "hardswish",
    "HardSwish": "hardswish",
    "HardSwishMe": "hardswish",
    "ReLU6": "relu6",
    "ReLU": "relu",
}
"""By the names of their classes in torch, timm, EfficientNet-PyTorch and transformers."""

_USUAL = Built(padding="same", bn_eps=1e-3, activation="swish")
"""Where a module shows nothing; what it computes is compared anyway."""


def contents_of(module: nn.Module, name: str) -> Contents:
    """Read a copy of a module as `open_container` reads a file.

    Raises:
        InputError: it has several networks.
    """
    tensors = _own_tensors(module)
    _require_one(tensors, name)
    ours = next((inner for inner in module.modules() if isinstance(inner, EfficientNet)), None)
    built = None if ours is not None else _built(module)
    return Contents(
        tensors=tensors,
        others={},
        described=_described(module, built),
        metadata={} if ours is None else {METADATA_KEY: SavedSettings.of(ours).to_json()},
        notes=(),
        built=built,
    )


def snapshot_of(module: nn.Module, name: str) -> Snapshot | None:
    """Read the config that timm's and transformers' models carry; None where there is none.

    Raises:
        InputError: another architecture, or values that cannot be used.
    """
    for inner in module.modules():
        pretrained = getattr(inner, "pretrained_cfg", None)
        if isinstance(pretrained, Mapping) and isinstance(pretrained.get("architecture"), str):
            config = {"architecture": pretrained["architecture"], "pretrained_cfg": pretrained}
            return read_snapshot(config | {"label_names": pretrained.get("label_names")}, None, name)
        of_transformers = getattr(inner, "config", None)
        if of_transformers is not None and getattr(of_transformers, "model_type", None) == "efficientnet":
            return read_snapshot(of_transformers.to_dict(), None, name)
    return None


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash names, shapes and numbers; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _own_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Its state dict, each tensor once: `self.features = self.base.features` gives the same layers two names."""
    seen: set[tuple[int, torch.Size]] = set()
    own = {}
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        place = (tensor.data_ptr(), tensor.shape)
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        own[name] = tensor.detach()
    return own


def _require_one(tensors: Mapping[str, torch.Tensor], name: str) -> None:
    prefixes = [prefix.removesuffix(".") or "itself" for prefix in prefixes_of(tensors)]
    if len(prefixes) > 1:
        raise InputError(
            f"model: {name} holds {len(prefixes)} EfficientNets ({', '.join(map(brief, prefixes))}); pass the one "
            f"that is meant, such as model.{brief(prefixes[0])}."
        )


def _built(module: nn.Module) -> Built:
    """Padding, eps and activation as the layers have them, of each the commonest."""
    return Built(
        padding=_commonest(_paddings(module), _USUAL.padding),
        bn_eps=_commonest((m.eps for m in module.modules() if isinstance(m, nn.BatchNorm2d)), _USUAL.bn_eps),
        activation=_commonest(_activations(module), _USUAL.activation),
    )


def _paddings(module: nn.Module) -> Iterator[str]:
    """TensorFlow's padding is computed in the forward pass of convolutions of stride 2, or before them."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2 and layer.kernel_size[0] > 1:
            plain = type(layer) is nn.Conv2d and layer.padding not in ("valid", (0, 0))
            yield "symmetric" if plain else "same"


def _activations(module: nn.Module) -> Iterator[str]:
    for layer in module.modules():
        if type(layer).__name__ in _ACTIVATIONS:
            yield _ACTIVATIONS[type(layer).__name__]


def _commonest(found: Iterator[Any], otherwise: Any) -> Any:
    counted = Counter(found).most_common(1)
    return counted[0][0] if counted else otherwise


def _described(module: nn.Module, built: Built | None) -> Described:
    """What tells timm's networks from its ports of TensorFlow's, and the side that lukemelas' paddings are for."""
    if built is None:
        return Described()
    parameters = (getattr(inner, "_global_params", None) for inner in module.modules())
    sizes = (getattr(found, "image_size", None) for found in parameters)
    size = next((value for value in sizes if type(value) is int), None)
    return Described(
        architectures=("tf_efficientnet_" if built.padding == "same" else "efficientnet_",),
        resizing=None if size is None else Resizing(where="The module", size=size),
    )
