"""Building the network that a file's tensors fit, and changing it to what the caller wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edge_effnet.activations import make_activation
from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, head_text
from edge_effnet.io.text import brief, listed_names
from edge_effnet.model import EfficientNet, initialize
from edge_effnet.variants import VariantSpec
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.containers import Built
from edge_effnet.weights.heads import head_layers, suggested_head
from edge_effnet.weights.layouts import Layout
from edge_effnet.weights.origins import Origin
from edge_effnet.weights.placement import Placement
from edge_effnet.weights.save import SavedSettings
from edge_effnet.weights.strict import match_tensors

# An end's module, its weight's dimensions, the one that a file decides, and the most that it may be: ImageNet-21k has
# 21,843 classes, and multispectral pictures some hundred channels.
_ENDS = (
    ("stem.conv", ("outputs", "channels", "height", "width"), 1, 1000),
    ("classifier", ("classes", "features"), 0, 100_000),
)

_SWISHES = frozenset({"swish", "swish-memory-efficient"})
_SAMES = frozenset({"same", "same-static"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """How the network of a file was built when it was trained."""

    spec: VariantSpec
    """Its variant."""
    layout: Layout
    """How the file names its tensors."""
    padding: str
    """One of `edge_effnet.padding.PADDINGS`."""
    bn_eps: float
    """Added to BatchNorm's variance."""
    activation: str
    """A key of `edge_effnet.activations.ACTIVATIONS`."""

    @classmethod
    def of(
        cls,
        spec: VariantSpec,
        layout: Layout,
        origin: Origin,
        saved: SavedSettings | Built | None,
        activation: str | None = None,
    ) -> Trained:
        """Take the network's own settings where they are known, else its origin's; a named activation comes first.

        Raises:
            InputError: an unknown activation.
        """
        if activation is not None:
            make_activation(activation)
        return cls(
            spec=spec,
            layout=layout,
            padding=saved.padding if saved else origin.padding_for(spec.name),
            bn_eps=saved.bn_eps if saved else origin.eps(spec.name),
            activation=activation or (saved.activation if saved else spec.activation),
        )


def build_network(
    trained: Trained,
    placed: Placement,
    options: LoadOptions,
    *,
    image_size: int,
    path: Path,
    notes: list[str],
) -> EfficientNet:
    """Build the network and give it the file's weights, all of them.

    The classifier and the first convolution are the file's; `adapt` changes them. `notes` gets a sentence where
    BatchNorms are missing.

    Raises:
        InputError: tensors that are missing, unexpected, misshapen or not finite; an option out of range.
    """
    below = f" below {brief(repr(placed.prefix))}" if placed.prefix else ""
    title = f"{path}: not a complete {trained.spec.name} in the layout of {trained.layout.name}{below}"
    in_channels, num_classes = _sizes_of_ends(placed.tensors, trained.layout, title)
    if placed.head not in (None, (LINEAR,)):
        num_classes = placed.widths[-1] if placed.widths else None
    with torch.device("meta"):  # initial weights would only be thrown away
        model = EfficientNet(
            trained.spec,
            num_classes=1000 if num_classes is None else num_classes,
            in_channels=in_channels,
            image_size=image_size,
            dropout_rate=options.dropout_rate,
            drop_connect_rate=options.drop_connect_rate,
            activation=options.activation or trained.activation,
            padding=options.padding or trained.padding,
            bn_eps=trained.bn_eps,
            include_top=placed.head is not None,
            head=LINEAR if placed.head is None else head_text(placed.head),
            hidden_features=placed.widths[:-1],
        )
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    names = trained.layout.theirs(trained.spec, shapes)
    ours = match_tensors(
        unfolded(placed.tensors, names, trained.bn_eps, notes), shapes, names, beside=placed.beside, title=title
    )
    if placed.beside:
        raise InputError(f"{path}: {_beside(placed, trained)}")
    model.load_state_dict(ours, strict=True, assign=True)
    return model.eval()


def _beside(placed: Placement, trained: Trained) -> str:
    """Say what stands beside a complete network, and what to do about it."""
    names = listed_names(placed.beside)
    if placed.head is None:
        layers = head_layers(placed.beside)
        features = trained.spec.head_channels
        suggested = suggested_head(layers, features) if layers else None
        say = f"say it with --head, such as --head {suggested}" if suggested else "say it with --head"
        return (
            f"the head of this {trained.spec.name} is not one Linear but {names}, and tensors do not tell what lies "
            f"between, such as the activation; {say} (its words: docs/own-model.md), or --head none for the features "
            "in front of it."
        )
    return (
        f"beside the {trained.spec.name} and its classifier there are {names}, which may take part in what it "
        "computes: a second head, or layers in between; where they do not, leave them out: torch.save({k: v for k, v "
        'in weights.items() if k not in THESE}, "weights.pth").'
    )


def _sizes_of_ends(tensors: Mapping[str, torch.Tensor], layout: Layout, title: str) -> tuple[int, int | None]:
    """Channels that the first convolution takes, and classes of the classifier; None without one.

    Raises:
        InputError: shapes that no convolution or classifier has.
    """
    sizes: list[int | None] = []
    for end, kind, axis, most in _ENDS:
        name = f"{layout.ends[end]}.weight"
        shape = list(tensors[name].shape) if name in tensors else None
        if shape is not None and (len(shape) != len(kind) or not 1 <= shape[axis] <= most):
            raise InputError(
                f"{title}: {name} has the shape {brief(shape)}; need [{', '.join(kind)}] with at most {most} "
                f"{kind[axis]}."
            )
        sizes.append(None if shape is None else shape[axis])
    channels, classes = sizes
    assert channels is not None  # a layout is told by its stem
    return channels, classes


def adapt(model: EfficientNet, trained: Trained, options: LoadOptions, *, path: Path) -> tuple[str, ...]:
    """Change the ends of a loaded network to what the caller wants.

    Returns:
        A sentence for each change, and for each setting that differs from the training's.

    Raises:
        InputError: the file has no classifier and the caller gave no `num_classes` to make one.
    """
    notes = [
        *_adapt_classifier(model, options, path),
        *_adapt_stem(model, options),
    ]
    if options.padding and options.padding != trained.padding and not {options.padding, trained.padding} <= _SAMES:
        notes.append(
            f"Padding {options.padding!r} was asked for, but the weights were trained with "
            f"{trained.padding!r}: expect a loss of accuracy."
        )
    activation = options.activation
    if activation and activation != trained.activation and not {activation, trained.activation} <= _SWISHES:
        notes.append(
            f"Activation {activation!r} was asked for, but the weights were trained with "
            f"{trained.activation!r}: fine-tune before use."
        )
    return tuple(notes)


def _adapt_classifier(model: EfficientNet, options: LoadOptions, path: Path) -> list[str]:
    if not options.include_top:
        model.classifier = None
        return []
    wanted = options.num_classes
    had = None if model.classifier is None else model.num_classes
    if had is None and wanted is None:
        raise InputError(
            f"{path}: the file has no classifier; give num_classes to make one, or include_top=False to do without; "
            "--head none puts its features out."
        )
    if wanted is None or wanted == had:
        return []
    if wanted < 1:
        raise InputError(f"num_classes {wanted}: need at least 1.")
    model.classifier, model.head_steps = nn.Linear(model.spec.head_channels, wanted), LINEAR
    model.classifier.apply(initialize)
    model.num_classes = wanted
    model.eval()
    return [
        f"The classifier was reinitialized for {wanted} classes (the file has {had or 'none'}): train it before use."
    ]


def _adapt_stem(model: EfficientNet, options: LoadOptions) -> list[str]:
    wanted, had = options.in_channels, model.in_channels
    if wanted is None or wanted == had:
        return []
    if wanted < 1:
        raise InputError(f"in_channels {wanted}: need at least 1.")
    old = model.stem.conv
    padding = old.padding[0]
    assert isinstance(padding, int)
    model.stem.conv = nn.Conv2d(
        wanted, old.out_channels, old.kernel_size[0], stride=old.stride[0], padding=padding, bias=False
    )
    model.stem.conv.apply(initialize)
    model.in_channels = wanted
    model.eval()
    return [
        f"The first convolution was reinitialized for {wanted} channels (the file has {had}): train it before use."
    ]


_OF_NORM = ("weight", "bias", "running_mean", "running_var")


def unfolded(
    tensors: Mapping[str, torch.Tensor], names: Mapping[str, str], bn_eps: float, notes: list[str]
) -> dict[str, torch.Tensor]:
    """Return the tensors with a BatchNorm for each convolution that has a bias in its place.

    Args:
        tensors: the file's, by its names.
        names: our name -> the file's.
        bn_eps: that the network adds to variances, which these have less.
        notes: gets a sentence where there were such.
    """
    found = dict(tensors)
    count = 0
    for ours, theirs in names.items():
        if not ours.endswith(".conv.weight"):
            continue
        norm = ours.removesuffix("conv.weight") + "norm."
        parts = {part: names.get(norm + part) for part in _OF_NORM}
        bias = f"{theirs.removesuffix('weight')}bias"
        if bias not in found or any(name is None or name in found for name in parts.values()):
            continue
        shift = found.pop(bias)
        one, none = torch.ones_like(shift), torch.zeros_like(shift)
        values = {"weight": one, "bias": shift, "running_mean": none, "running_var": one - bn_eps}
        found |= {str(name): values[part] for part, name in parts.items()}
        count += 1
    if count:
        notes.append(f"BatchNorm had been folded into {count} convolutions before saving.")
    return found
