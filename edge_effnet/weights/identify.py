"""Which network a file holds: where it lies among the tensors, and which variant its shapes are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, parse_head
from edge_effnet.io.text import brief
from edge_effnet.model import EfficientNet
from edge_effnet.stages import BlockWidths
from edge_effnet.variants import VARIANTS, VariantSpec, relative_of, resolve_variant
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.containers import Contents
from edge_effnet.weights.described import Described
from edge_effnet.weights.layouts import SPATIAL, Layout
from edge_effnet.weights.placement import Placement, place
from edge_effnet.weights.save import SavedSettings
from edge_effnet.weights.torchscript import require_operators


@dataclass(frozen=True, kw_only=True, slots=True)
class Identified:
    """A file's network before it is built, or a module's in memory, and all that is said of it."""

    contents: Contents
    path: Path
    """Of the file, or the name of the module's class."""
    options: LoadOptions
    saved: SavedSettings | None
    """Of one of our own files."""
    described: Described
    """What the file says and, where it is silent, a config beside it."""
    placed: Placement
    spec: VariantSpec
    architectures: tuple[str, ...]
    """Names that can be the network's own, the most trustworthy first."""
    says: str
    """What the file calls its architecture, for the end of a message; empty where it does not."""
    notes: tuple[str, ...]
    """Sentences for the user on what was read and what was left out."""


def identify(contents: Contents, path: Path, expected: VariantSpec | None, options: LoadOptions) -> Identified:
    """Find the network and its variant, which is `expected`, or what a config or the shapes say.

    Raises:
        InputError: no network, several, another one than expected, or one that computes something else.
    """
    saved, beside = SavedSettings.from_metadata(contents.metadata, path), options.beside
    described = contents.described.or_else(beside.described)
    head = options.head or (saved.head if saved is not None and saved.head != LINEAR else None)
    steps = None if head is None else parse_head(head)[0]
    placed = place(contents.tensors, contents.others, path, steps, ema=options.ema)
    _require_no_relative((*beside.architectures, *described.architectures), path)
    said = () if contents.built else contents.described.architectures
    says = f" (the file says {brief(repr(said[0]))})" if said else ""
    spec = _variant_of(placed, expected or beside.spec, path, says)
    activation, normalises = options.trained_activation or spec.activation, placed.normalization is not None
    left_out = require_operators(contents.metadata, activation, placed.head or (), normalises=normalises, path=path)
    return Identified(
        contents=contents,
        path=path,
        options=options,
        saved=saved,
        described=described,
        placed=placed,
        spec=spec,
        architectures=(*beside.architectures, *(name for name in described.architectures if _may_be(name, spec))),
        says=says,
        notes=(*beside.notes, *contents.notes, *placed.notes, *left_out),
    )


def _variant_of(placed: Placement, expected: VariantSpec | None, path: Path, says: str) -> VariantSpec:
    fingerprint = fingerprint_of_tensors(placed.tensors, placed.layout)
    found = None if fingerprint is None else find_variant(fingerprint)
    spec = expected or found
    if spec is None:
        raise InputError(
            f"{path}: no variant of EfficientNet ({fingerprint or 'no convolutions at its ends'}): a "
            f"damaged file, or another architecture{says}."
        )
    # A few tensors missing would make the fingerprint one of nothing: strict matching then says which. A network that
    # somebody pruned by whole tiles looks like an unpruned one.
    if found is not None and found != spec and found.pruned >= spec.pruned:
        # Another architecture may have a variant's fingerprint, as SPNASNet that of Lite1.
        widened = with_widths(found, placed.tensors, placed.layout, title=str(path))
        shapes = _shapes_of(widened)
        title = f"{path}: another architecture than {spec.name} or {found.name}{says}"
        require_alike(placed.tensors, shapes, placed.layout.theirs(widened, shapes), title=title)
        raise InputError(f"{path}: holds {found.name} ({fingerprint}), not {spec.name}; ask for {found.name}.")
    return with_widths(spec, placed.tensors, placed.layout, title=str(path))


_FEW = 0.25
"""Of a network's convolutions; a new first one, or one that was replaced, is fewer."""


def _shapes_of(spec: VariantSpec) -> dict[str, torch.Size]:
    """Shapes of a variant's tensors but for the classifier's."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in EfficientNet(spec, include_top=False).state_dict().items()}


def require_alike(
    tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size], names: Mapping[str, str], *, title: str
) -> None:
    """Refuse a network that shares its names with ours and few of its shapes.

    Raises:
        InputError: more than a few convolutions have other shapes; the message begins with `title`.
    """
    convolutions = [ours for ours, shape in shapes.items() if len(shape) == 4]
    there = [ours for ours in convolutions if names[ours] in tensors]
    other = [ours for ours in there if tensors[names[ours]].shape != shapes[ours]]
    if len(other) > max(2, _FEW * len(there)):
        raise InputError(
            f"{title}: of its {len(there)} convolutions of the same names {len(other)} have other shapes "
            f"({names[other[0]]} {brief(list(tensors[names[other[0]]].shape))} instead of "
            f"{list(shapes[other[0]])}); give weights of an EfficientNet, or say which variant these are."
        )


def _may_be(name: str, spec: VariantSpec) -> bool:
    """Whether a name in the file can be that of its network: its teacher's, say, is another variant's."""
    try:
        return resolve_variant(name).name == spec.name
    except InputError:
        return True


def _require_no_relative(architectures: Iterable[str], path: Path) -> None:
    """Refuse an architecture with the same tensors and another function, such as blurred strides."""
    for name in architectures:
        reason = relative_of(name)
        if reason is not None:
            raise InputError(
                f"{path}: says that it is {brief(repr(name))}, which is not supported: it has {reason}; take another "
                "architecture, such as efficientnet_b0, or correct that entry of the file."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Enough of a network's shape to tell all variants apart."""

    stem_channels: int
    """Outputs of the first convolution."""
    last_channels: int
    """Outputs of the last block."""
    head_channels: int
    """Outputs of the last convolution."""
    blocks: int
    """MBConv blocks."""
    fused_blocks: int
    """Blocks whose spatial convolution mixes channels."""
    squeeze_excite: bool
    """Whether any block has squeeze-excite."""
    pruned: bool
    """Whether most blocks filter channels of a number that no rule of scaling gives."""

    def __str__(self) -> str:
        """As messages show it."""
        gates = "with" if self.squeeze_excite else "without"
        fused = f"{self.fused_blocks} fused and " if self.fused_blocks else ""
        pruned = "pruned " if self.pruned else ""
        return (
            f"stem {self.stem_channels}, head {self.last_channels} -> {self.head_channels}, {fused}{self.blocks} "
            f"{pruned}blocks {gates} squeeze-excite"
        )


def fingerprint_of_spec(spec: VariantSpec) -> Fingerprint:
    """Fingerprint of a variant."""
    stages = spec.scaled_stages
    blocks = sum(stage.repeats for stage in stages if stage.block == "mbconv")
    return Fingerprint(
        stem_channels=spec.stem_channels,
        last_channels=stages[-1].out_channels,
        head_channels=spec.head_channels,
        blocks=blocks,
        fused_blocks=spec.blocks - blocks,
        squeeze_excite=spec.squeeze_excite > 0,
        pruned=spec.pruned,
    )


def fingerprint_of_tensors(tensors: Mapping[str, torch.Tensor], layout: Layout) -> Fingerprint | None:
    """Fingerprint of a state dict in `layout`, or None where its ends are no convolutions."""
    stem = tensors[f"{layout.ends['stem.conv']}.weight"]
    head = tensors[f"{layout.ends['head.conv']}.weight"]
    if stem.ndim != 4 or head.ndim != 4:
        return None
    names = {names[SPATIAL[kind]] for kind, names in layout.kinds.items()}
    gates = {names["squeeze_excite.expand"] for names in layout.kinds.values() if "squeeze_excite.expand" in names}
    # They cover more than a pixel; the depthwise ones are the only ones that see one input channel.
    # The stem, which may be named like a block's and see one channel too, is none of them.
    spatial = [
        t for key, t in tensors.items() if t is not stem and _ends_with(key, names) and t.ndim == 4 and t.shape[2] > 1
    ]
    depthwise = [t for t in spatial if t.shape[1] == 1]
    return Fingerprint(
        stem_channels=stem.shape[0],
        last_channels=head.shape[1],
        head_channels=head.shape[0],
        blocks=len(depthwise),
        fused_blocks=len(spatial) - len(depthwise),
        squeeze_excite=any(_ends_with(key, gates) for key in tensors),
        # `round_filters` gives multiples of 8.
        pruned=sum(t.shape[0] % 8 != 0 for t in depthwise) > len(depthwise) / 2,
    )


def _ends_with(key: str, modules: Iterable[str]) -> bool:
    return any(key.endswith(f".{module}.weight") for module in modules)


def find_variant(fingerprint: Fingerprint) -> VariantSpec | None:
    """Find the variant of a fingerprint, or None where it is none of the table."""
    return next((spec for spec in VARIANTS.values() if fingerprint_of_spec(spec) == fingerprint), None)


def with_widths(spec: VariantSpec, tensors: Mapping[str, torch.Tensor], layout: Layout, *, title: str) -> VariantSpec:
    """Give a pruned variant the channel counts of a state dict; any other is returned as it is.

    Raises:
        InputError: a tensor that has them is missing or no convolution.
    """
    if not spec.pruned:
        return spec
    widths = []
    for stage, scaled in enumerate(spec.scaled_stages):
        for repeat in range(scaled.repeats):
            convolutions = ("depthwise.conv", "squeeze_excite.reduce", "project.conv")
            keys = [f"stages.{stage}.{repeat}.{name}.weight" for name in convolutions]
            names = layout.theirs(spec, keys).values()
            inner, squeezed, outputs = (_outputs(tensors, name, title) for name in names)
            widths.append(BlockWidths(inner_channels=inner, squeezed_channels=squeezed, out_channels=outputs))
    return replace(spec, widths=tuple(widths))


def _outputs(tensors: Mapping[str, torch.Tensor], name: str, title: str) -> int:
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != 4 or not 1 <= tensor.shape[0] <= 100_000:
        got = "is missing" if tensor is None else f"has the shape {brief(list(tensor.shape))}"
        raise InputError(f"{title}: {brief(name)} {got}; a pruned network's channel counts are read from it.")
    return tensor.shape[0]
