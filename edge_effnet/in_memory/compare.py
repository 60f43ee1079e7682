"""Two networks on the same images: whether they put out the same, and if not, which layer is the first to differ."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

RTOL = 1e-4
"""Of the largest output: float32 in another order of sums stays well below, another eps or padding well above."""

_RTOL_OF_FLOAT64 = 1e-8
"""So that squeezed features, which are close to zero, are compared beyond rounding too."""


def output_of(module: nn.Module, x: torch.Tensor, name: str) -> torch.Tensor:
    """Run somebody's module, in eval mode, on images [N, C, H, W] and take its logits, [N, outputs].

    Raises:
        InputError: it fails on images alone, or puts out something else.
    """
    try:
        with torch.no_grad():
            found = module(x)
    except Exception as error:  # whatever a class of somebody else's raises
        raise InputError(
            f"model: {name} fails on images of {list(x.shape)} ({type(error).__name__}: {brief(error)}); pass a "
            "module whose forward takes them alone."
        ) from error
    logits = logits_in(found)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(x):
        got = f"a tensor {list(logits.shape)}" if isinstance(logits, torch.Tensor) else f"a {type(found).__name__}"
        raise InputError(f"model: {name} puts out {got}; wrap it in a module that puts out one tensor [N, outputs].")
    return logits


def logits_in(found: Any) -> Any:
    """Transformers puts them into an object, others into a dict."""
    if isinstance(found, Mapping):
        return found.get("logits", found.get("out"))
    return getattr(found, "logits", found)


def differs(theirs: torch.Tensor, ours: torch.Tensor, rtol: float = RTOL) -> str | None:
    """Say by how much two outputs differ; None where they are equal but for rounding."""
    if theirs.shape != ours.shape:
        return f"{list(ours.shape[1:])} outputs instead of {list(theirs.shape[1:])}"
    scale, difference = theirs.abs().max().item(), (theirs - ours).abs().max().item()
    return None if difference <= rtol * scale else f"by up to {difference:.3g}, of {scale:.3g}"


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """Where two networks part."""

    after: str
    """The last convolution of theirs that still agrees; empty for none."""
    at: str
    """Their next one; empty behind the last."""
    within: bool
    """Whether the convolution itself differs, rather than what reaches it."""
    changed: bool = False
    """Whether images are changed on their way to the first convolution, and not only padded."""

    def __str__(self) -> str:
        """As messages say it."""
        if self.changed:
            return f"the images are changed before they reach {brief(self.at)}, as by a normalisation"
        if self.within:
            return f"the convolution {brief(self.at)} puts out something else, as with another padding"
        if self.at:
            return (
                f"what reaches {brief(self.at)} from {brief(self.after) or 'the images'} is something else, as with "
                "another activation, eps, gate or shortcut"
            )
        return "behind the last convolution something else follows, as with another activation or pooling"


def first_difference(theirs: nn.Module, ours: nn.Module, x: torch.Tensor) -> FirstDifference:
    """Compare two networks of the same weights on images [N, C, H, W], convolution by convolution, in float64."""
    found, expected = _convolutions(ours, x), _convolutions(theirs, x)
    after = ""
    for (_, our_input, our_output), (name, their_input, their_output) in zip(found, expected, strict=False):
        # SAME padding is part of some classes of convolutions and comes before others.
        if differs(their_output, our_output, _RTOL_OF_FLOAT64):
            same = not differs(their_input, our_input, _RTOL_OF_FLOAT64)
            images = [given for given in (x.double(), our_input) if given.shape == their_input.shape]
            changed = not after and any(differs(given, their_input, _RTOL_OF_FLOAT64) for given in images)
            return FirstDifference(after=after, at=name, within=same or not after, changed=changed)
        after = name
    return FirstDifference(after=after, at="", within=False)


def _convolutions(module: nn.Module, x: torch.Tensor) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    seen: list[tuple[str, torch.Tensor, torch.Tensor]] = []

    def record(name: str, _: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen.append((name, inputs[0].clone(), output.clone()))  # activations may work in place

    copied = copy.deepcopy(module).double()
    for name, layer in copied.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(partial(record, name))
    # A head of somebody else's may take float32 alone: the convolutions before it were seen.
    with torch.no_grad(), suppress(Exception):
        copied(x.double())
    return seen
