"""Building the network that a file's tensors fit, all of them and exactly, and changing it to what a caller wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import nn

from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, head_text
from edge_effnet.io.text import brief, listed_names
from edge_effnet.model import EfficientNet, initialize
from edge_effnet.variants import VariantSpec
from edge_effnet.weights.checkpoint import LoadOptions
from edge_effnet.weights.containers import Built
from edge_effnet.weights.head_layers import head_layers, other_pooling, suggested_heads
from edge_effnet.weights.identify import Identified, require_alike
from edge_effnet.weights.placement import Placement
from edge_effnet.weights.training import Training

MOST_CLASSES = 100_000
"""Of a network; ImageNet-21k has 21,843."""

_LEAVE_OUT = 'torch.save({k: v for k, v in weights.items() if k not in THESE}, "weights.pth")'

_SWISHES = frozenset({"swish", "swish-memory-efficient"})
_SAMES = frozenset({"same", "same-static"})


def build_network(found: Identified, training: Training) -> tuple[EfficientNet, tuple[str, ...]]:
    """Build the network and give it the file's weights, all of them.

    The classifier and the first convolution are the file's; `adapt` changes them.

    Returns:
        The network, and a sentence for the user where BatchNorms are missing.

    Raises:
        InputError: another architecture; tensors that are missing, unexpected, misshapen or not finite; an
            option out of range.
    """
    spec, placed, path = found.spec, found.placed, found.path
    below = f" below {brief(repr(placed.prefix))}" if placed.prefix else ""
    title = f"{path}: not a complete {spec.name} in the layout of {placed.layout.name}{below}"
    model = _without_weights(found, training, title)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    names = placed.layout.theirs(spec, shapes)
    tensors, notes = _unfolded(placed.tensors, names, training.built.bn_eps)
    require_alike(tensors, shapes, names, title=f"{path}: another architecture than {spec.name}{found.says}")
    ours = _matched(tensors, shapes, names, beside=placed.beside, title=title)
    if placed.beside:
        raise InputError(f"{path}: {_beside(placed, spec)}")
    model.load_state_dict(ours, strict=True, assign=True)
    return model.eval(), notes


def _without_weights(found: Identified, training: Training, title: str) -> EfficientNet:
    """Build the network on the meta device: initial weights would only be thrown away."""
    placed, options, built = found.placed, found.options, training.built
    # Multispectral pictures have some hundred channels.
    in_channels = _size(placed, "stem.conv", ("outputs", "channels", "height", "width"), 1, 1000, title)
    _size(placed, "classifier", ("classes", "features"), 0, MOST_CLASSES, title)
    assert in_channels is not None  # a layout is told by its stem
    with torch.device("meta"):
        return EfficientNet(
            found.spec,
            num_classes=placed.widths[-1] if placed.widths else 1000,
            in_channels=in_channels,
            image_size=training.preprocess.crop,
            dropout_rate=options.dropout_rate,
            drop_connect_rate=options.drop_connect_rate,
            activation=options.activation or built.activation,
            padding=options.padding or built.padding,
            bn_eps=built.bn_eps,
            include_top=placed.head is not None,
            head=LINEAR if placed.head is None else head_text(placed.head),
            hidden_features=placed.widths[:-1],
        )


def _beside(placed: Placement, spec: VariantSpec) -> str:
    """Say what stands beside a complete network, and what to do about it."""
    names = listed_names(placed.beside)
    pooling = other_pooling(placed.beside, spec.head_channels)
    if pooling is not None:
        return pooling
    if placed.head is None:
        heads = suggested_heads(head_layers(placed.beside) or (), spec.head_channels)
        such = ", such as " * bool(heads) + " or ".join(f"--head {head}" for head in heads)
        if any("layernorm" in head for head in heads):
            such += ", if it is a LayerNorm: GroupNorm and learned scales have the same tensors"
        end = "" if heads else f"; what takes no part in it, leave out: {_LEAVE_OUT}"
        return (
            f"the head of this {spec.name} is not one Linear but {names}, and tensors do not tell what lies "
            f"between, such as the activation; say it with --head{such} (its words: docs/own-model.md), or --head "
            f"none for the features in front of it{end}."
        )
    return (
        f"beside the {spec.name} and its classifier there are {names}, which may take part in what it "
        f"computes: a second head, or layers in between; where they do not, leave them out: {_LEAVE_OUT}."
    )


def _size(placed: Placement, end: str, dimensions: tuple[str, ...], axis: int, most: int, title: str) -> int | None:
    """The dimension of an end's weight that the file decides; None without such a weight."""
    name = f"{placed.layout.ends[end]}.weight"
    if name not in placed.tensors:
        return None
    shape = list(placed.tensors[name].shape)
    if len(shape) != len(dimensions) or not 1 <= shape[axis] <= most:
        raise InputError(
            f"{title}: {name} has the shape {brief(shape)}; need [{', '.join(dimensions)}] with at most {most} "
            f"{dimensions[axis]}."
        )
    return shape[axis]


def adapt(model: EfficientNet, trained: Built, options: LoadOptions, *, path: Path) -> tuple[str, ...]:
    """Change the ends of a loaded network to what the caller wants.

    Returns:
        A sentence for each change, and for each setting that differs from the training's.

    Raises:
        InputError: the file has no classifier and the caller gave no `num_classes` to make one.
    """
    notes = [*_adapt_classifier(model, options, path), *_adapt_stem(model, options)]
    model.eval()
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
    return [
        f"The first convolution was reinitialized for {wanted} channels (the file has {had}): train it before use."
    ]


def _unfolded(
    tensors: Mapping[str, torch.Tensor], names: Mapping[str, str], bn_eps: float
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Return the file's tensors with a BatchNorm for each convolution that has a bias in its place, and a note of it.

    The network adds `bn_eps` to variances, so that these have less.
    """
    found = dict(tensors)
    count = 0
    for ours, theirs in names.items():
        if not ours.endswith(".conv.weight"):
            continue
        norm = ours.removesuffix("conv.weight") + "norm."
        parts = {part: names.get(norm + part) for part in ("weight", "bias", "running_mean", "running_var")}
        bias = f"{theirs.removesuffix('weight')}bias"
        if bias not in found or any(name is None or name in found for name in parts.values()):
            continue
        shift = found.pop(bias)
        one, none = torch.ones_like(shift), torch.zeros_like(shift)
        values = {"weight": one, "bias": shift, "running_mean": none, "running_var": one - bn_eps}
        found |= {str(name): values[part] for part, name in parts.items()}
        count += 1
    note = f"BatchNorm had been folded into {count} convolutions before saving."
    return found, (note,) if count else ()


_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var")
_WITHOUT_STATISTICS = (
    "no BatchNorm has its statistics (running_mean, running_var): the file is of named_parameters(), which leaves "
    "buffers out, or of a network of GroupNorm, which is not built here; save model.state_dict() of a network of "
    "BatchNorms"
)


def _matched(
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, torch.Size],
    names: Mapping[str, str],
    *,
    beside: Iterable[str],
    title: str,
) -> dict[str, torch.Tensor]:
    """Rename a file's tensors to ours, in float32; every tensor of file and network is accounted for.

    `beside` are other tensors of the file, to be named where the network is not complete without them. BatchNorm's
    step counters, which old files lack and nothing reads, become 0.
    """
    missing = [theirs for ours, theirs in names.items() if theirs not in tensors and not ours.endswith(_COUNTER)]
    statistics = [theirs for ours, theirs in names.items() if ours.endswith(_STATISTICS)]
    scales = [theirs for ours, theirs in names.items() if ours.endswith("norm.weight")]
    without = all(theirs in tensors for theirs in scales) and not any(theirs in tensors for theirs in statistics)
    missing = [theirs for theirs in missing if not without or theirs not in statistics]
    unexpected = sorted(set(tensors) - set(names.values()))
    misshapen = [
        f"{theirs} {brief(list(tensors[theirs].shape))} instead of {list(shapes[ours])}"
        for ours, theirs in names.items()
        if theirs in tensors and tensors[theirs].shape != shapes[ours]
    ]
    if missing or misshapen or without:
        unexpected += beside
    problems = [
        f"{len(items)} {kind} ({_shortened(items)})"
        for kind, items in (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
        if items
    ]
    if without:
        problems.insert(0, _WITHOUT_STATISTICS)
    if problems:
        raise InputError(f"{title}: {'; '.join(problems)}.")
    return {ours: _as_parameter(tensors, ours, theirs, title) for ours, theirs in names.items()}


def _as_parameter(tensors: Mapping[str, torch.Tensor], ours: str, theirs: str, title: str) -> torch.Tensor:
    if ours.endswith(_COUNTER):
        return tensors.get(theirs, torch.tensor(0)).to(torch.int64, copy=True)
    tensor = tensors[theirs]
    if not tensor.is_floating_point():
        raise InputError(
            f"{title}: {theirs} is {tensor.layout} of {tensor.dtype}; float weights are needed, not quantized ones."
        )
    tensor = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(tensor).all()):
        count = int((~torch.isfinite(tensor)).sum())
        raise InputError(f"{title}: {theirs} has {count} NaN or infinite values of {tensor.numel()}.")
    if ours.endswith("running_var") and bool((tensor < 0).any()):
        raise InputError(f"{title}: {theirs} has values below 0, which no variance has.")
    return tensor


def _shortened(items: list[str]) -> str:
    return ", ".join(map(brief, items[:5])) + (f", and {len(items) - 5} more" if len(items) > 5 else "")
