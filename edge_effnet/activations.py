"""The activations that a network can have, by name, and swapping one for another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from edge_effnet.errors import InputError

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class MemoryEfficientSwish(nn.SiLU):
    """Swish that keeps its input alone for the backward pass, as torch's own does: lukemelas' name for it.

    A network with this activation exports as it is; that package needed `set_swish(memory_efficient=False)` first
    (its issue #218).
    """


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "swish": nn.SiLU,
    "swish-memory-efficient": MemoryEfficientSwish,
    "hardswish": nn.Hardswish,
    "relu6": nn.ReLU6,
    "relu": nn.ReLU,
}


def make_activation(name: str) -> nn.Module:
    """Build an activation by its name.

    Raises:
        InputError: unknown name; the message lists the known ones.
    """
    factory = ACTIVATIONS.get(name)
    if factory is None:
        raise InputError(f"unknown activation {name!r}; choose one of {', '.join(ACTIVATIONS)}.")
    return factory()


def activation_name(module: nn.Module) -> str | None:
    """Return the name of one activation module, or None where it is none of the table."""
    return next((name for name, kind in ACTIVATIONS.items() if type(module) is kind), None)


def swap_activation(model: ModuleT, name: str) -> ModuleT:
    """Replace every activation of `model`, in place, and return it.

    Squeeze-excite's inner activation is swapped too; its gate stays a sigmoid, a classifier's layers stay as they
    are, and layers without an activation stay without. Weights are untouched: for anything but the two swishes,
    expect to fine-tune.

    Raises:
        InputError: unknown name, or `model` has no activation of the table to swap.
    """
    make_activation(name)  # an unknown name fails before anything is changed
    sites = [
        (parent, child_name)
        for parent_name, parent in model.named_modules()
        if parent_name.partition(".")[0] != "classifier"
        for child_name, child in parent.named_children()
        if activation_name(child) is not None
    ]
    if not sites:
        raise InputError(f"{type(model).__name__} has no activation to swap (of {', '.join(ACTIVATIONS)}).")
    for parent, child_name in sites:
        setattr(parent, child_name, make_activation(name).train(parent.training))
    return model
