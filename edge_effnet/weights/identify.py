"""Telling what a state dict is: which variant by its shapes, whose weights by names around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from edge_effnet.variants import VARIANTS, VariantSpec
from edge_effnet.weights.layouts import Layout
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
    squeeze_excite: bool
    """Whether any block has squeeze-excite."""

    def __str__(self) -> str:
        """As messages show it."""
        gates = "with" if self.squeeze_excite else "without"
        return (
            f"stem {self.stem_channels}, head {self.last_channels} -> {self.head_channels}, {self.blocks} "
            f"blocks {gates} squeeze-excite"
        )


def fingerprint_of_spec(spec: VariantSpec) -> Fingerprint:
    """Fingerprint of a variant."""
    return Fingerprint(
        stem_channels=spec.stem_channels,
        last_channels=spec.scaled_stages[-1].out_channels,
        head_channels=spec.head_channels,
        blocks=spec.blocks,
        squeeze_excite=spec.squeeze_excite > 0,
    )


def fingerprint_of_tensors(tensors: Mapping[str, torch.Tensor], layout: Layout) -> Fingerprint | None:
    """Fingerprint of a state dict in `layout`, or None where its ends are no convolutions."""
    stem = tensors[f"{layout.ends['stem.conv']}.weight"]
    head = tensors[f"{layout.ends['head.conv']}.weight"]
    if stem.ndim != 4 or head.ndim != 4:
        return None
    names = {layout.expanded["depthwise.conv"], layout.unexpanded["depthwise.conv"]}
    gates = {layout.expanded["squeeze_excite.expand"], layout.unexpanded["squeeze_excite.expand"]}
    return Fingerprint(
        stem_channels=stem.shape[0],
        last_channels=head.shape[1],
        head_channels=head.shape[0],
        # Depthwise kernels are the only ones that see one input channel and cover more than a pixel.
        blocks=sum(
            _ends_with(key, names) and t.ndim == 4 and t.shape[1] == 1 and t.shape[2] > 1
            for key, t in tensors.items()
        ),
        squeeze_excite=any(_ends_with(key, gates) for key in tensors),
    )


def _ends_with(key: str, modules: Iterable[str]) -> bool:
    return any(key.endswith(f".{module}.weight") for module in modules)


def find_variant(fingerprint: Fingerprint) -> VariantSpec | None:
    """Find the variant of a fingerprint, or None where it is none of the table."""
    return next((spec for spec in VARIANTS.values() if fingerprint_of_spec(spec) == fingerprint), None)


# What an architecture's name, in the file or in a hub's config, says about the training.
_BY_ARCHITECTURE: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("timm", re.compile(r"tf_efficientnet_\w+?(?:_ap\b|\.ap_)"), "timm-tf-advprop"),
    ("timm", re.compile(r"tf_efficientnet_"), "timm-tf"),
    ("timm", re.compile(r"efficientnet_"), "timm"),
)

# What a file's name says. Anybody calls a file efficientnet_b0.pth; only publishers put their hash into it.
_BY_FILE_NAME: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("timm", re.compile(r"tf_efficientnet_\w+?(?:_ap\b|_ap[-_]|\.ap_)"), "timm-tf-advprop"),
    ("timm", re.compile(r"tf_efficientnet_"), "timm-tf"),
    ("timm", re.compile(r"efficientnet_\w+-[0-9a-f]{8}\.pth"), "timm"),
    ("lukemelas", re.compile(r"adv-efficientnet-|advprop"), "lukemelas-advprop"),
)

_TF_ONLY = frozenset({"b6", "b7", "b8", "l2", "lite1", "lite2", "lite3", "lite4"})


def choose_origin(
    layout: Layout, spec: VariantSpec, *, architectures: Iterable[str] = (), file_name: str = ""
) -> tuple[Origin, str | None]:
    """Decide whose weights a file of `layout` holds.

    Args:
        layout: as detected by its keys.
        spec: its variant.
        architectures: names of the architecture, most trustworthy first.
        file_name: without its folder.

    Returns:
        The origin, and a sentence for the user where it was a guess.
    """
    named = [(name, _BY_ARCHITECTURE) for name in architectures] + [(file_name, _BY_FILE_NAME)]
    for name, table in named:
        for of_layout, pattern, origin in table:
            if of_layout == layout.name and pattern.search(name.lower()):
                return ORIGINS[origin], None
    if layout.name == "timm":
        return _guess_for_timm(spec)
    if layout.name == "edge-effnet":
        return ORIGINS["edge-effnet"], (
            "The file holds weights of this package without their settings (padding 'same' and BatchNorm eps "
            "1e-3 were taken); save them with save_checkpoint, or pass the origin that they began with."
        )
    return ORIGINS[layout.name], None


def _guess_for_timm(spec: VariantSpec) -> tuple[Origin, str]:
    if spec.name in _TF_ONLY:
        return ORIGINS["timm-tf"], (
            f"timm publishes {spec.name} only as weights ported from TensorFlow (SAME padding, BatchNorm "
            "eps 1e-3): origin 'timm-tf' was taken; pass origin='timm' for weights trained in timm itself."
        )
    return ORIGINS["timm"], (
        "timm's own models and its ports from TensorFlow share their keys, and nothing in this file tells "
        "them apart: origin 'timm' was taken (symmetric padding, BatchNorm eps 1e-5); pass origin='timm-tf' "
        "for tf_efficientnet weights (SAME padding, eps 1e-3), or accuracy suffers."
    )
