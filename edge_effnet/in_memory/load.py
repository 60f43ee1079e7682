"""From a module in memory to a network of ours that computes the same: `load_module`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.head import NONE, head_text
from edge_effnet.in_memory.compare import differs, first_difference, output_of
from edge_effnet.in_memory.contents import contents_of, copy_of, name_of, sha256_of_tensors, snapshot_of
from edge_effnet.in_memory.head import CARRIED, carried_head
from edge_effnet.in_memory.told_head import told_head
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions, Wanted
from edge_effnet.weights.containers import Contents
from edge_effnet.weights.load import load_contents, with_snapshot
from edge_effnet.weights.placement import Placement, place, without_head

_OUTPUTS = {None: lambda x: x, "softmax": lambda x: x.softmax(dim=-1), "sigmoid": torch.sigmoid}


def load_module(module: nn.Module, variant: str | None = None, **wanted: Unpack[Wanted]) -> Checkpoint:
    """Read a network off a module: of timm, torchvision, EfficientNet-PyTorch, transformers, ours, or around these.

    Variant, padding, eps, activation, head and preprocessing are read where the object has them; what it computes is
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
    known = with_snapshot(options, snapshot_of(original, name, without_size=options.preprocess is not None))
    placed = place(contents.tensors, {}, Path(name))
    found = _Module(name=name, original=original, contents=contents, placed=placed, expected=expected, options=known)
    try:
        return found.loaded()
    except InputError:
        if placed.normalization is None:
            raise
        # A module that normalises by itself computes the same on what it makes of normalised images.
        mean, std = (contents.tensors[name] for name in placed.normalization.names)
        return replace(found, original=_Pixels(original, mean=mean, std=std)).loaded()


class _Pixels(nn.Module):
    """A module that normalises its images, fed with normalised ones."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, inner: nn.Module, **rows: torch.Tensor) -> None:
        super().__init__()
        self.inner = inner
        for name, row in rows.items():
            # As exact as the module has them: what it makes of normalised images is compared in float64.
            self.register_buffer(name, row.double().view(1, -1, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x * self.std.to(x.dtype) + self.mean.to(x.dtype))
        return found


def _name(module: nn.Module) -> str:
    """The class of the caller's own module."""
    return name_of(module.inner if isinstance(module, _Pixels) else module)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Module:
    """What was read of a module before its network is built."""

    name: str
    original: nn.Module
    contents: Contents
    placed: Placement
    expected: VariantSpec | None
    options: LoadOptions

    def loaded(self) -> Checkpoint:
        """The network with the head that its tensors tell, or the one that its forward pass has."""
        if self.options.head is not None:
            return self._with_given_head()
        if self.placed.head is not None and not self.placed.beside:
            checkpoint = self._built(self.contents, self.options)
            if _difference(checkpoint, _random_images(checkpoint)) is None:
                return checkpoint
        return self._with_own_head()

    def _with_given_head(self) -> Checkpoint:
        """The network with the head that the caller names, or none."""
        checkpoint = self._built(self.contents, self.options)
        x = _random_images(checkpoint)
        if checkpoint.model.head_steps != NONE:
            require_same(checkpoint, [x], "random images")
            return checkpoint
        difference = _difference(checkpoint, x)
        if difference is not None and first_difference(self.original, checkpoint.model, x).at:
            raise _different(checkpoint, x, "random images")
        # What it puts out is features, and the module's logits are no measure of them.
        return replace(checkpoint, original=None)

    def _built(self, contents: Contents, options: LoadOptions) -> Checkpoint:
        sha256 = sha256_of_tensors(self.contents.tensors)
        checkpoint = load_contents(contents, Path(self.name), self.expected, options, sha256=sha256)
        # What tensors leave open, the module's outputs tell.
        notes = tuple(note for note in checkpoint.notes if note not in checkpoint.unproven)
        return replace(checkpoint, notes=notes, unproven=(), original=self.original)

    def _with_own_head(self) -> Checkpoint:
        """The network up to its features, and behind them what the module does."""
        beside = self.options.beside
        names = self.contents.described.class_names or beside.described.class_names
        tensors, normalization = self.contents.tensors, self.placed.normalization
        rows = () if normalization is None else normalization.names
        contents = replace(
            self.contents,
            tensors=without_head(tensors) | {name: tensors[name] for name in rows},
            described=replace(self.contents.described, class_names=None),
        )
        nameless = replace(beside, described=replace(beside.described, class_names=None))
        checkpoint = self._built(contents, replace(self.options, head=NONE, beside=nameless))
        x = _random_images(checkpoint)
        difference = _difference(checkpoint, x)
        if difference is None:
            return checkpoint
        if first_difference(self.original, checkpoint.model, x).at:
            raise _different(checkpoint, x, "random images")
        checkpoint = _with_head(checkpoint, x, self.name)
        require_same(checkpoint, [x], "random images")
        fitting = names if names is not None and len(names) == checkpoint.num_classes else None
        checkpoint.model.class_names = fitting
        return replace(checkpoint, class_names=fitting)


def _with_head(checkpoint: Checkpoint, x: torch.Tensor, name: str) -> Checkpoint:
    """Put the head of a module behind a network that gives features."""
    model, original = checkpoint.model, checkpoint.original
    assert original is not None
    carried = carried_head(original, model, x, name=name)
    told = told_head(carried, model.spec.head_channels)
    output: str | None = None
    if told is None:
        model.classifier, model.head_steps = carried, CARRIED
        note = "The head has layers of its own; its exported graph was taken as it is."
    else:
        steps, model.classifier, output = told
        model.head_steps = head_text(steps)
        note = f"The head is {model.head_steps}."
    with torch.no_grad():
        model.num_classes = model(x).shape[1]
    return replace(
        checkpoint,
        num_classes=model.num_classes,
        output=output,
        notes=(*checkpoint.notes, note),
    )


def _random_images(checkpoint: Checkpoint) -> torch.Tensor:
    size = checkpoint.preprocess.crop
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, checkpoint.model.in_channels, size, size, generator=generator)


def _difference(checkpoint: Checkpoint, x: torch.Tensor) -> str | None:
    original = checkpoint.original
    assert original is not None
    theirs = output_of(original, x, _name(original))
    with torch.no_grad():
        return differs(theirs, _OUTPUTS[checkpoint.output](checkpoint.model(x)))


def _different(checkpoint: Checkpoint, x: torch.Tensor, what: str, difference: str = "") -> InputError:
    """`difference` is that of the outputs, where both are of one kind."""
    original = checkpoint.original
    assert original is not None
    outputs = difference and f" (outputs differ {difference})"
    return InputError(
        f"model: {_name(original)} does not compute on {what} what an EfficientNet of its weights does{outputs}: "
        f"{first_difference(original, checkpoint.model, x)}; undo what changes its forward pass, or say what it is "
        "(variant=, trained_activation=, head=)."
    )


def require_same(checkpoint: Checkpoint, inputs: Sequence[torch.Tensor], what: str) -> None:
    """Compare what a network puts out with what the module does that it was read from, where there is one.

    Args:
        checkpoint: the network.
        inputs: batches, each [N, C, H, W].
        what: these are, for the message.

    Raises:
        InputError: they differ; the message says where.
    """
    for x in inputs if checkpoint.original is not None else ():
        difference = _difference(checkpoint, x)
        if difference is not None:
            raise _different(checkpoint, x, what, difference)
