"""What loading takes and gives: `LoadOptions` in, `Checkpoint` out."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VariantSpec
from edge_effnet.weights.described import Described


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
    """Of the file."""
    notes: tuple[str, ...]
    """Sentences for the user: what was guessed, chosen or reinitialized."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """What a caller wants other than the file has it; None keeps the file's or the origin's."""

    origin: str | None = None
    num_classes: int | None = None
    in_channels: int | None = None
    image_size: int | None = None
    dropout_rate: float | None = None
    drop_connect_rate: float = 0.2
    activation: str | None = None
    padding: str | None = None
    include_top: bool = True
    preprocess: Preprocess | None = None
    """What a hub's config or a table of published weights says, instead of the origin's."""
    described: Described = field(default_factory=Described)
    """What a config beside the file says, where the file itself does not."""
    odd_blocks: tuple[int, ...] | None = None
    """What transformers' config says about padding; see `require_padding`."""
    architectures: tuple[str, ...] = ()
    """Names of the architecture that may tell the origin, more trustworthy than the file's own."""
