"""What loading takes and gives: `Wanted` in, `Checkpoint` out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from torch import nn

from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VariantSpec
from edge_effnet.weights.resizing import Geometry
from edge_effnet.weights.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A loaded network and everything that its file or origin says about it."""

    model: EfficientNet
    """In eval mode, float32, on the CPU."""
    spec: VariantSpec
    """Its variant."""
    origin: str
    """A key of `edge_effnet.weights.origins.ORIGINS`."""
    class_names: tuple[str, ...] | None
    """In order of the class index, where the file has them and the classifier is its own."""
    num_classes: int
    """Outputs of the classifier (of the file's, where the network has none)."""
    preprocess: Preprocess
    """What the images go through before the network."""
    sha256: str
    """Of the file, or of the module's tensors."""
    notes: tuple[str, ...]
    """Sentences for the user: what was guessed, chosen or reinitialized."""
    unproven: tuple[str, ...] = ()
    """Those of `notes` on what tensors leave open, so that outputs may be others than in training."""
    averaged: bool = False
    """Whether an averaged copy of the weights was taken, and the last step's lies beside it."""
    rival: str | None = None
    """Another origin that the names in the file fit as well; None where they tell, or the caller did."""
    read_as: Callable[[str], Checkpoint] | None = None
    """What was read, as weights of another origin; None where there is no rival."""
    output: str | None = None
    """What a module in memory makes of its logits: a word of `edge_effnet.head.OUTPUTS`."""
    original: nn.Module | None = None
    """A copy of the module in memory that this was read from, in eval mode, float32, on the CPU."""


class Wanted(TypedDict, total=False):
    """What a caller may want other than the file has it; what is left out is the file's or the origin's."""

    origin: str | None
    """Who trained the weights, where the file alone does not tell: a key of `edge_effnet.weights.origins.ORIGINS`."""
    num_classes: int | None
    """Other than the file's reinitializes the classifier."""
    in_channels: int | None
    """Other than the file's reinitializes the first convolution."""
    image_size: int | None
    """Side of the images, pixels; other than the origin's scales the preprocessing."""
    dropout_rate: float | None
    """Before the classifier; the variant's by default."""
    drop_connect_rate: float
    """Of the last block, 0.2 by default."""
    activation: str | None
    """Instead of the one that the weights were trained with."""
    trained_activation: str | None
    """What the weights were trained with, where it is not the variant's: tensors do not tell."""
    ema: bool
    """False takes the last step's weights, where the file has an averaged copy too."""
    padding: str | None
    """Instead of the one that the weights were trained with."""
    include_top: bool
    """False drops the classifier."""
    preprocess: Preprocess | None
    """What images went through in training, where it is not what the origin does."""
    geometry: Geometry | None
    """Resizing and cropping alone, likewise."""
    mean: Sequence[float] | None
    """Subtracted from each channel of 0..1; one number stands for all. The file's or the origin's by default."""
    std: Sequence[float] | None
    """Divides each channel; likewise."""
    head: str | None
    """Layers of the head where tensors do not tell them, such as "linear-relu-linear"; "none" for pooled features."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """`Wanted`, and what a hub's config or a table of published weights knows; None keeps the file's."""

    origin: str | None = None
    num_classes: int | None = None
    in_channels: int | None = None
    image_size: int | None = None
    dropout_rate: float | None = None
    drop_connect_rate: float = 0.2
    activation: str | None = None
    trained_activation: str | None = None
    ema: bool = True
    padding: str | None = None
    include_top: bool = True
    preprocess: Preprocess | None = None
    geometry: Geometry | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    head: str | None = None
    beside: Snapshot = field(default_factory=Snapshot)
    """What a config beside the file says, where the file itself does not."""
