"""A copy of somebody's module, and what it says of itself: tensors, how it was built, what lies beside."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from statistics import mode

import torch
from torch import nn
from torch.nn.utils import parametrize

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.model import EfficientNet
from edge_effnet.weights.containers import Built, Contents
from edge_effnet.weights.described import Described, class_names_of
from edge_effnet.weights.normalization import find_normalization
from edge_effnet.weights.placement import prefixes_of
from edge_effnet.weights.resizing import Resizing
from edge_effnet.weights.save import METADATA_KEY, SavedSettings
from edge_effnet.weights.snapshot import Snapshot, read_snapshot
from edge_effnet.weights.torchscript import CLASSES_OF_ACTIVATIONS

_ACTIVATIONS = {name: kind for kind, names in CLASSES_OF_ACTIVATIONS.items() for name in names}


def contents_of(module: nn.Module, name: str) -> Contents:
    """Read a copy of a module as `open_container` reads a file.

    Raises:
        InputError: it has several networks.
    """
    tensors = _own_tensors(module) | _normalizing(module)
    prefixes = [prefix.removesuffix(".") or "itself" for prefix in prefixes_of(tensors)]
    if len(prefixes) > 1:
        raise InputError(
            f"model: {name} holds {len(prefixes)} EfficientNets ({', '.join(map(brief, prefixes))}); pass the one "
            f"that is meant, such as model.{brief(prefixes[0])}."
        )
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


def snapshot_of(module: nn.Module, name: str, *, without_size: bool = False) -> Snapshot:
    """Read the config that timm's and transformers' models carry; others say nothing.

    `without_size` leaves unread what timm's says of images, where the caller knows it.

    Raises:
        InputError: another architecture, or values that cannot be used.
    """
    for inner in module.modules():
        pretrained = getattr(inner, "pretrained_cfg", None)
        if isinstance(pretrained, Mapping) and isinstance(pretrained.get("architecture"), str):
            read = {key: value for key, value in pretrained.items() if not (without_size and key == "input_size")}
            config = {"architecture": pretrained["architecture"], "pretrained_cfg": read}
            names = _names_around(module) or pretrained.get("label_names")
            return read_snapshot(config | {"label_names": names}, None, name)
        of_transformers = getattr(inner, "config", None)
        if of_transformers is not None and getattr(of_transformers, "model_type", None) == "efficientnet":
            return read_snapshot(of_transformers.to_dict(), None, name)
    return Snapshot()


def _names_around(module: nn.Module) -> tuple[str, ...] | None:
    """Class names in the config of what holds timm's network, such as transformers' wrapper of it."""
    labels = (getattr(getattr(inner, "config", None), "id2label", None) for inner in module.modules())
    found = (class_names_of({"id2label": given}) for given in labels if isinstance(given, Mapping))
    return next(filter(None, found), None)


def sha256_of_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash names, shapes and numbers; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _own_tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    """Its state dict, each tensor once: `self.features = self.base.features` gives the same layers two names."""
    own: dict[object, tuple[str, torch.Tensor]] = {}
    for name, tensor in module.state_dict().items():
        if isinstance(tensor, torch.Tensor):
            place = (tensor.data_ptr(), tensor.shape) if tensor.numel() else name
            own.setdefault(place, (name, tensor.detach()))
    return dict(own.values())


def _normalizing(module: nn.Module) -> dict[str, torch.Tensor]:
    """Mean and std that no state dict has: torchvision's Normalize, buffers that are not saved, plain attributes."""
    found = {}
    for name, layer in module.named_modules():
        held = vars(layer) | {key: layer._buffers[key] for key in layer._non_persistent_buffers_set}
        for key, value in held.items():
            if key.rstrip("s").endswith(("mean", "std")) and isinstance(value, torch.Tensor | list | tuple):
                with suppress(TypeError, ValueError, RuntimeError):  # a list of something else
                    found[f"{name}.{key}".lstrip(".")] = torch.as_tensor(value, dtype=torch.float64).detach()
    channels = next((layer.in_channels for layer in module.modules() if isinstance(layer, nn.Conv2d)), 0)
    normalization = find_normalization(found, channels)
    return {} if normalization is None else {name: found[name] for name in normalization.names}


def _built(module: nn.Module) -> Built:
    """Padding, eps and activation as the layers have them, of each the commonest.

    Where a module shows nothing, those of TensorFlow's B0 stand: what it computes is compared anyway.
    """
    layers = [*module.modules()]
    activations = [_ACTIVATIONS.get(type(layer).__name__) for layer in layers]
    return Built(
        padding=mode([*_paddings(layers)] or ["same"]),
        bn_eps=mode([*_epsilons(layers)] or [1e-3]),
        activation=mode([*filter(None, activations)] or ["swish"]),
    )


def _epsilons(layers: list[nn.Module]) -> Iterator[float]:
    """Of norms that keep statistics, whatever their class: BatchNorm, SyncBatchNorm, frozen ones."""
    for layer in layers:
        eps = getattr(layer, "eps", None)
        if isinstance(eps, float) and hasattr(layer, "running_mean") and hasattr(layer, "running_var"):
            yield eps


def _paddings(layers: list[nn.Module]) -> Iterator[str]:
    """TensorFlow's padding is computed in the forward pass of convolutions of stride 2, or before them."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and layer.stride[0] == 2 and layer.kernel_size[0] > 1:
            plain = type(layer) is nn.Conv2d and layer.padding not in ("valid", (0, 0))
            yield "symmetric" if plain else "same"


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


def name_of(module: nn.Module) -> str:
    """The class of a module, as manifests and messages name it."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def copy_of(given: object) -> tuple[nn.Module, tuple[str, ...]]:
    """Copy a module, without what torch.compile and DataParallel put around it.

    Returns:
        The copy, and sentences on what was changed.

    Raises:
        InputError: no module, or one that cannot be copied or whose forward pass is more than its layers.
    """
    if not isinstance(given, nn.Module):
        raise InputError(
            f"model: got a {brief(type(given).__name__)}; need a torch.nn.Module in memory (weights= takes files)."
        )
    module = _unwrapped(given)
    for problem in _problems(module):
        raise InputError(f"model: {name_of(module)} {problem}")
    notes = []
    halves = sorted({str(t.dtype) for t in module.state_dict().values() if t.is_floating_point()} - {"torch.float32"})
    if halves:
        notes.append(f"The weights are of {', '.join(halves)}; a copy in float32 was quantized.")
    try:
        made = copy.deepcopy(module)
    except Exception as error:  # whatever a class of somebody else's raises
        raise InputError(
            f"model: {name_of(module)} cannot be copied ({brief(error)}); save its state_dict() and pass the file as "
            "weights=."
        ) from error
    _unwrap_inside(made)
    return made.to("cpu", torch.float32).eval().requires_grad_(False), tuple(notes)


def _unwrap_inside(module: nn.Module) -> None:
    """Take off what was put around single layers, in place."""
    for name, child in list(module.named_children()):
        module._modules[name] = inner = _unwrapped(child)
        _unwrap_inside(inner)


def _unwrapped(module: nn.Module) -> nn.Module:
    while True:
        inner = getattr(module, "_orig_mod", getattr(module, "_checkpoint_wrapped_module", None))
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


_BAKED = {
    "torch.nn.utils.prune": ("pruned layers", "torch.nn.utils.prune.remove bakes their masks"),
    "torch.nn.utils.weight_norm": ("weight_norm", "torch.nn.utils.remove_weight_norm(LAYER) bakes it"),
    "torch.nn.utils.spectral_norm": ("spectral_norm", "torch.nn.utils.remove_spectral_norm(LAYER) bakes it"),
}
"""What torch puts in front of a layer by a hook, by the module of the hook's class."""


def _problems(module: nn.Module) -> Iterator[str]:
    """Say what stands in the way of reading a module; sentences continue its name."""
    if isinstance(module, torch.jit.ScriptModule):
        yield "is TorchScript, whose layers cannot be read; pass the module that it was made from."
    for name, layer in module.named_modules():
        where = brief(name or "itself")
        # Where the classes of quantized and fake-quantized layers live.
        if type(layer).__module__.startswith(("torch.ao.", "torchao.")):
            yield f"is quantized already ({where}: {type(layer).__name__}); pass the float module."
        for kind in {type(hook).__module__ for hook in layer._forward_pre_hooks.values()} & _BAKED.keys():
            what, remedy = _BAKED[kind]
            yield f"has {what} ({where}); {remedy} into the weights."
        # Private, but there is no other way to see them; registering one would be a change of the module.
        if layer._forward_hooks or layer._forward_pre_hooks:
            yield f"has forward hooks ({where}), which may change what it computes; remove them (handle.remove())."
        if parametrize.is_parametrized(layer):
            yield f"has parametrized layers ({where}); torch.nn.utils.parametrize.remove_parametrizations bakes them."
    for name, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            continue
        if tensor.is_meta:
            yield f"has no weights in memory ({brief(name)} is on the meta device); load them first."
        if tensor.is_quantized or type(tensor) not in (torch.Tensor, nn.Parameter):
            yield f"is quantized or sharded ({brief(name)} is a {type(tensor).__name__}); pass the float module."
