"""A copy of somebody's module to read and run: in eval mode, float32, on the CPU. The module itself is never run."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)

_QUANTIZED = ("torch.ao.", "torchao.")
"""Where the classes of quantized and fake-quantized layers live."""


def name_of(module: nn.Module) -> str:
    """The class of a module, as manifests and messages name it."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def copy_of(given: object) -> tuple[nn.Module, tuple[str, ...]]:
    """Copy a module, without what torch.compile and DataParallel put around it.

    Args:
        given: the module; left as it is.

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
        if isinstance(module, _WRAPPERS):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _problems(module: nn.Module) -> Iterator[str]:
    """Say what stands in the way of reading a module; sentences continue its name."""
    if isinstance(module, torch.jit.ScriptModule):
        yield "is TorchScript, whose layers cannot be read; pass the module that it was made from."
    for name, layer in module.named_modules():
        where = brief(name or "itself")
        if type(layer).__module__.startswith(_QUANTIZED):
            yield f"is quantized already ({where}: {type(layer).__name__}); pass the float module."
        if any(type(hook).__module__ == prune.__name__ for hook in layer._forward_pre_hooks.values()):
            yield f"has pruned layers ({where}); torch.nn.utils.prune.remove bakes their masks into the weights."
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
