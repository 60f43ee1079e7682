"""Telling what a state dict is: which variant by its shapes, whose weights by names around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.preprocess import Preprocess
from edge_effnet.stages import BlockWidths
from edge_effnet.variants import VARIANTS, VariantSpec, relative_of
from edge_effnet.weights.layouts import SPATIAL, Layout
from edge_effnet.weights.origins import ORIGINS, Origin


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


def require_no_relative(architectures: Iterable[str], path: Path) -> None:
    """Refuse a file that names an architecture with the same tensors and another function, such as blurred strides.

    Raises:
        InputError: naming it.
    """
    for name in architectures:
        reason = relative_of(name)
        if reason is not None:
            raise InputError(
                f"{path}: says that it is {brief(repr(name))}, which is not supported: it has {reason}; take another "
                "architecture, such as efficientnet_b0, or correct that entry of the file."
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


# What an architecture's name, in the file or in a hub's config, says about the training.
_BY_ARCHITECTURE: tuple[tuple[str, re.Pattern[str], str], ...] = (
    # timm's default tag of B8 is ap_in1k.
    ("timm", re.compile(r"tf_efficientnet_(?:\w+?(?:_ap\b|\.ap_)|b8$)"), "timm-tf-advprop"),
    ("timm", re.compile(r"tf_efficientnet(?:v2)?_"), "timm-tf"),
    ("timm", re.compile(r"efficientnet(?:v2)?_"), "timm"),
)

# What a file's name says. Anybody calls a file efficientnet_b0.pth; only publishers put their hash into it.
_BY_FILE_NAME: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("timm", re.compile(r"tf_efficientnet_\w+?(?:_ap\b|_ap[-_]|\.ap_)"), "timm-tf-advprop"),
    ("timm", re.compile(r"tf_efficientnet(?:v2)?_"), "timm-tf"),
    ("timm", re.compile(r"efficientnet(?:v2)?_\w+-[0-9a-f]{8}\.pth"), "timm"),
    ("lukemelas", re.compile(r"adv-efficientnet-|advprop"), "lukemelas-advprop"),
)

_TF_ONLY = frozenset(
    {"b6", "b7", "b8", "l2", "lite1", "lite2", "lite3", "lite4"}
    | {"v2-s", "v2-m", "v2-l", "v2-xl", "v2-b0", "v2-b1", "v2-b2", "v2-b3"}
)
_NOT_TF = frozenset({"b1-pruned", "b2-pruned", "b3-pruned", "v2-rw-t", "v2-rw-s", "v2-rw-m"})

RIVALS = {"timm": "timm-tf", "timm-tf": "timm"}
"""Origins that share all names, so that a guess between them can be wrong."""


def choose_origin(
    layout: Layout, spec: VariantSpec, *, architectures: Iterable[str] = (), file_name: str = ""
) -> tuple[Origin, str | None]:
    """Decide whose weights a file of `layout` holds, by names of its architecture, the most trustworthy first.

    Returns:
        The origin, and a sentence for the user where it was a guess.
    """
    named = [(name, _BY_ARCHITECTURE) for name in architectures] + [(file_name, _BY_FILE_NAME)]
    for name, table in named:
        for of_layout, pattern, origin in table:
            if of_layout == layout.name and pattern.search(name.lower()):
                return ORIGINS[origin], None
    if layout.name == "timm" and spec.name in _TF_ONLY:
        return ORIGINS["timm-tf"], (
            f"timm publishes {spec.name} only as weights ported from TensorFlow (SAME padding, BatchNorm "
            "eps 1e-3): origin 'timm-tf' was taken; pass origin='timm' for weights trained in timm itself."
        )
    if layout.name == "timm" and spec.name not in _NOT_TF:
        return ORIGINS["timm"], (
            "timm's own models and its ports from TensorFlow share their keys, and nothing in this file tells "
            "them apart: origin 'timm' was taken (symmetric padding, BatchNorm eps 1e-5); pass origin='timm-tf' "
            "for tf_efficientnet weights (SAME padding, eps 1e-3), or accuracy suffers."
        )
    if layout.name == "edge-effnet":
        return ORIGINS["edge-effnet"], (
            "The file holds weights of this package without their settings (padding 'same' and BatchNorm eps "
            "1e-3 were taken); save them with save_checkpoint, or pass the origin that they began with."
        )
    return ORIGINS[layout.name], None


def published_preprocess(origin: Origin, spec: VariantSpec, architectures: Iterable[str] = ()) -> Preprocess | None:
    """Preprocessing of a variant's published weights, those of the first tag among names of its architecture.

    None where the origin published none.
    """
    tags = (name.lower().rpartition(".")[2] for name in architectures if "." in name)
    return origin.tagged.get((spec.name, next(tags, "")), origin.preprocess.get(spec.name))
