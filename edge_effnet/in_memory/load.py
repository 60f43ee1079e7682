"""From a module in memory to a network of ours that computes the same: `load_module`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.in_memory.compare import differs, first_difference, output_of
from edge_effnet.in_memory.contents import contents_of, sha256_of_tensors, snapshot_of
from edge_effnet.in_memory.copies import copy_of, name_of
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions, Wanted
from edge_effnet.weights.containers import Contents
from edge_effnet.weights.load import load_contents, with_snapshot

_RANDOM_IMAGES = 2


def load_module(module: nn.Module, variant: str | None = None, **wanted: Unpack[Wanted]) -> Checkpoint:
    """Read a network off a module: of timm, torchvision, EfficientNet-PyTorch, transformers, ours, or around these.

    Variant, padding, eps, activation and preprocessing are read where the object has them; what it computes is
    compared with ours on random images. The module is copied and not changed.

    Args:
        module: with its weights.
        variant: what it should be; None takes what its shapes say.
        wanted: as for `load_checkpoint`.

    Raises:
        InputError: no EfficientNet that computes the same; the message says what differs.
    """
    expected = None if variant is None else resolve_variant(variant)
    return load_in_memory(module, expected, LoadOptions(**wanted))


def load_in_memory(module: object, expected: VariantSpec | None, options: LoadOptions) -> Checkpoint:
    """`load_module` with its arguments as one.

    Raises:
        InputError: as there.
    """
    original, notes = copy_of(module)
    name = name_of(original)
    contents = replace(contents_of(original, name), notes=notes)
    snapshot = snapshot_of(original, name)
    known = options if snapshot is None else with_snapshot(options, snapshot)
    told = None if snapshot is None else snapshot.spec
    checkpoint = _loaded(contents, name, expected or told, known)
    notes = (*(() if snapshot is None else snapshot.notes), *checkpoint.notes)
    checkpoint = replace(checkpoint, original=original, notes=notes)
    size = checkpoint.preprocess.crop
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_RANDOM_IMAGES, checkpoint.model.in_channels, size, size, generator=generator)
    require_same(checkpoint, [x], "random images")
    return checkpoint


def _loaded(contents: Contents, name: str, expected: VariantSpec | None, options: LoadOptions) -> Checkpoint:
    return load_contents(contents, Path(name), expected, options, sha256=sha256_of_tensors(contents.tensors))


def require_same(checkpoint: Checkpoint, inputs: Sequence[torch.Tensor], what: str) -> None:
    """Compare what a network puts out with what the module does that it was read from, where there is one.

    Args:
        checkpoint: the network.
        inputs: batches, each [N, C, H, W].
        what: these are, for the message.

    Raises:
        InputError: they differ; the message says where.
    """
    original = checkpoint.original
    if original is None:
        return
    name = name_of(original)
    for x in inputs:
        theirs = output_of(original, x, name)
        with torch.no_grad():
            difference = differs(theirs, checkpoint.model(x))
        if difference is not None:
            raise InputError(
                f"model: {name} does not compute on {what} what an EfficientNet of its weights does (outputs differ "
                f"{difference}): {first_difference(original, checkpoint.model, x)}; undo what changes its forward "
                "pass, or say what it is (variant=, trained_activation=, head=)."
            )
