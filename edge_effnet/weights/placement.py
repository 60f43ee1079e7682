"""Where in a file's names the network lies: the prefix above it, its head, and what belongs to neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief, listed_names
from edge_effnet.weights.heads import find_head
from edge_effnet.weights.layouts import LAYOUTS, Layout
from edge_effnet.weights.normalization import Normalization, find_normalization
from edge_effnet.weights.partial import require_last_convolution, require_whole

_USUAL_PREFIX = re.compile(r"(?:(?:module|_orig_mod|model)\.)*")
"""Left by DistributedDataParallel, torch.compile and Lightning: nothing that a user has to be told."""

_AVERAGED = re.compile(r"(?:^|[._])(?:ema|swa|shadow|avg|averaged?)(?=[._])")
"""In the prefix of a copy of averaged weights."""

# What stands beside a network in its module, called so and holding counters, class weights or confusion matrices.
_LOSS = re.compile(
    r"criteri(?:on|a)|loss(?:es)?|loss_?fns?|loss_?func(?:tion)?s?|\w+_loss|\w+_criterion|pos_weights?|class_weights?"
)
_NO_PART = re.compile(
    rf"{_LOSS.pattern}|metrics?|\w+_metrics?|acc(?:uracy)?|\w+_acc(?:uracy)?|f1|\w+_f1|auroc|\w+_auroc|confmat"
    r"|\w+_confmat|confusion_matrix|optimi[sz]ers?|optim|(?:lr_)?schedulers?|(?:amp_|grad_)?scaler|n_averaged"
    r"|total_ops|total_params"
)
_COUNTERS = re.compile(r"(?:\w+_)?(?:num_updates|decay|step|steps|initted|epoch)")

# A single number that divides all logits: whichever class is largest stays so.
_TEMPERATURE = re.compile(r"temperature|temp|t_scale|logit_scale")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """One network in a file, and its layout's names there, also where a part of the peer's module was saved."""

    layout: Layout
    roots: tuple[tuple[str, str], ...] = ()
    """How names begin: the layout's, the file's."""
    proof: str = ""
    """How a tensor's name begins in the file, without which short names such as `0.weight` are anybody's."""
    prefix: str = ""
    """What stands before the names in the file; empty, or ending in a dot."""

    def end(self, name: str) -> str:
        """The file's name of the weight of one of the layout's ends."""
        return self.prefix + self.theirs(f"{self.layout.ends[name]}.weight")

    def theirs(self, name: str) -> str:
        """A name of the layout as the file has it."""
        return next((new + name.removeprefix(old) for old, new in self.roots if name.startswith(old)), name)

    def ours(self, name: str) -> str:
        """Inverse of `theirs`."""
        return next((old + name.removeprefix(new) for old, new in self.roots if name.startswith(new)), name)

    def trunk(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors of the network but for its classifier's."""
        modules = [f"{name}." for end, name in self.layout.ends.items() if end != "classifier"]
        block = re.escape(self.theirs(self.layout.block.partition("{")[0])) + r"\d+\."
        names = re.compile("|".join([*(re.escape(self.theirs(name)) for name in modules), block]))
        found = (key for key in tensors if key.startswith(self.prefix) and names.match(key, len(self.prefix)))
        return {key: tensors[key] for key in found}


_WHOLE = tuple(_Place(layout=layout, proof=layout.proof) for layout in LAYOUTS.values())

# `model.features` of torchvision, `nn.Sequential(*model.children())` of timm, transformers' EfficientNetModel.
_PARTS = (
    *(
        _Place(layout=LAYOUTS[name], roots=(("features.", ""),), proof="1.0.block.0.0.weight")
        for name in ("torchvision", "torchvision-of-6-stages")
    ),
    _Place(
        layout=LAYOUTS["timm"],
        roots=(("conv_stem.", "0."), ("bn1.", "1."), ("blocks.", "2."), ("conv_head.", "3."), ("bn2.", "4.")),
        proof="2.0.0.conv",
    ),
    _Place(
        layout=LAYOUTS["transformers"],
        roots=(("efficientnet.", ""),),
        proof="encoder.blocks.0.depthwise_conv.depthwise_conv.weight",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """A file's network, with its tensors named as the layout has them."""

    layout: Layout
    tensors: dict[str, torch.Tensor]
    prefix: str
    """What stood before the names in the file; empty, or ending in a dot."""
    head: tuple[str, ...] | None
    """Steps of its head, empty for features; None where there is no head."""
    widths: tuple[int, ...]
    """Outputs of the head's Linears."""
    beside: Mapping[str, torch.Tensor]
    """Tensors that could belong to the forward pass and are not of this network, by the file's names."""
    notes: tuple[str, ...]
    """Sentences for the user on what was left out."""
    unproven: tuple[str, ...]
    """Those of `notes` on what tensors leave open, so that outputs may be others than in training."""
    copies: bool
    """Whether another copy of the network was left out."""
    normalization: Normalization | None
    """What the file's module does to images before the network."""


def place(
    tensors: Mapping[str, torch.Tensor],
    others: Mapping[str, torch.Tensor],
    path: Path,
    head: tuple[str, ...] | None = None,
    *,
    ema: bool = True,
) -> Placement:
    """Find the network in a state dict.

    `others` are of modules that the file holds beside it: its head may be one of them. `head` has the steps of it,
    where they are known; `ema` prefers an averaged copy to the last step's weights.

    Raises:
        InputError: no network; several, and nothing that tells which one is meant; a head of other steps; or a
            layer in parts.
    """
    places = _places(tensors)
    if not places:
        _refuse(list(tensors), path)
    chosen, of_others, notes = _chosen(places, path, ema=ema)
    modules, left_out = _without_networks(others)
    kept = {key: tensor for key, tensor in tensors.items() if not of_others(key)} | modules
    notes += left_out
    trunk = chosen.trunk(kept)
    around = {key: tensor for key, tensor in kept.items() if key not in trunk}
    features = sum(trunk[chosen.end("head.conv")].shape[:1])
    useless = dict.fromkeys(_no_parts(around, features))
    rest = {key: tensor for key, tensor in around.items() if key not in useless}
    normalization = find_normalization(rest, sum(trunk[chosen.end("stem.conv")].shape[1:2]))
    if normalization is not None:
        rest = {key: tensor for key, tensor in rest.items() if key not in normalization.names}
        notes.append(str(normalization))
    require_whole(trunk if head == () else [*trunk, *rest], path)
    own_weight, ordered = chosen.end("classifier"), _keeps_order(kept)
    found = find_head(rest, own_weight, features, head, str(path), ordered=ordered)
    renamed = {chosen.ours(key.removeprefix(chosen.prefix)): tensor for key, tensor in trunk.items()}
    own = chosen.layout.ends["classifier"]
    if not _USUAL_PREFIX.fullmatch(chosen.prefix):
        notes.append(f"The network was found below {brief(repr(chosen.prefix))}.")
    if useless:
        notes.append(f"Left out, as no part of the forward pass: {listed_names(useless)}.")
    return Placement(
        layout=chosen.layout,
        tensors=renamed | {f"{own}.{name}": tensor for name, tensor in found.tensors.items()},
        prefix=chosen.prefix,
        head=found.steps,
        widths=found.widths,
        beside={key: tensor for key, tensor in rest.items() if key not in found.used},
        notes=(*notes, *found.notes),
        unproven=found.unproven,
        copies=len(places) > 1,
        normalization=normalization,
    )


def _refuse(keys: list[str], path: Path) -> NoReturn:
    """Say that there is no network, or only a part of one."""
    require_whole(keys, path)
    require_last_convolution(keys, path)
    known = dict.fromkeys(layout.name for layout in LAYOUTS.values())
    raise InputError(
        f"{path}: no EfficientNet in a layout known here ({', '.join(known)}); its {len(keys)} "
        f"tensors begin with {', '.join(map(brief, keys[:4]))}."
    )


def prefixes_of(keys: Iterable[str]) -> list[str]:
    """Where networks lie among the names of a state dict: what stands before each, empty or ending in a dot."""
    return [place.prefix for place in _places(keys)]


def without_head(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of the one network among some, by the file's names, but for its classifier."""
    (found,) = _places(tensors)
    return found.trunk(tensors)


def _places(keys: Iterable[str]) -> list[_Place]:
    found = list(_places_of(_WHOLE, set(keys)))
    return found or list(_places_of(_PARTS, set(keys)))


def _places_of(kinds: Iterable[_Place], keys: set[str]) -> Iterator[_Place]:
    stems: set[str] = set()
    for kind in kinds:
        stem = kind.end("stem.conv")
        for key in sorted(keys - stems):
            prefix = key.removesuffix(stem)
            if not key.endswith(stem) or (prefix and not prefix.endswith(".")):
                continue
            place = replace(kind, prefix=prefix)
            proved = not kind.proof or any(key.startswith(prefix + kind.proof) for key in keys)
            if place.end("head.conv") in keys and proved:
                stems.add(key)
                yield place


def _chosen(places: list[_Place], path: Path, *, ema: bool) -> tuple[_Place, Callable[[str], bool], list[str]]:
    """Return the network that is meant, which names belong to another copy of it, and sentences about that."""
    if len(places) == 1:
        return places[0], lambda _: False, []
    roots = _diverging([place.prefix for place in places])
    averaged = [index for index, place in enumerate(places) if _AVERAGED.search(place.prefix)]
    if len(places) != 2 or len(averaged) != 1:
        listed = " and ".join(brief(repr(root)) for root in roots)
        key = brief(repr(roots[0].removesuffix(".")))
        raise InputError(
            f"{path}: holds {len(places)} networks, below {listed}, and nothing tells which one is meant; keep one: "
            f"import torch; weights = torch.load(PATH); torch.save(weights.get({key}) or {{k: v for k, v in "
            f'weights.items() if k.startswith({brief(repr(roots[0]))})}}, "weights.pth").'
        )
    index = averaged[0] if ema else 1 - averaged[0]
    mine, other = roots[index], roots[1 - index]
    taken, left = ("The averaged copy", "the last step's") if ema else ("The last step's copy", "the averaged one")

    def of_the_other(key: str) -> bool:
        # One without a prefix has all that the chosen one does not.
        return key.startswith(other) and not (mine.startswith(other) and key.startswith(mine))

    note = f"{taken} of the weights (below {brief(repr(mine))}) was taken, not {left} (below {brief(repr(other))})."
    return places[index], of_the_other, [note]


def _diverging(prefixes: list[str]) -> list[str]:
    """Cut what prefixes have in common at their ends: `model.backbone.` and `ema.backbone.` -> `model.`, `ema.`."""
    parts = [prefix.split(".")[:-1] for prefix in prefixes]
    while all(parts) and len({part[-1] for part in parts}) == 1:
        parts = [part[:-1] for part in parts]
    return ["".join(f"{name}." for name in part) for part in parts]


def _without_networks(others: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Return the other modules' tensors without those of whole networks, and a sentence that names these."""
    tops = {place.prefix.partition(".")[0] for place in _places(others)}
    notes = (f"Left out, as another network: {listed_names(sorted(tops))}.",) if tops else ()
    return {key: tensor for key, tensor in others.items() if key.partition(".")[0] not in tops}, notes


def _keeps_order(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether names come as modules have them, a weight before its bias, and not sorted, as safetensors has them."""
    places = {key: place for place, key in enumerate(tensors)}
    weights = {key.removesuffix("weight"): place for key, place in places.items() if key.endswith(".weight")}
    return any(place < places.get(f"{module}bias", -1) for module, place in weights.items())


def _no_parts(around: Mapping[str, torch.Tensor], features: int) -> list[str]:
    """Which tensors around a network are no part of its forward pass, as their names and what they hold tell."""
    below = {key: _root_of_training(key) for key in around}
    given = Counter(tensor.shape[0] for tensor in around.values() if tensor.ndim > 1)
    layers = {root for key, root in below.items() if root and _is_layer(key, around, features, given)}
    return [key for key in around if _is_number(key, around[key]) or (below[key] and below[key] not in layers)]


def _root_of_training(key: str) -> str:
    """The name up to the first part of it that is one of losses or metrics; empty where none is."""
    names = key.split(".")
    places = (place for place, name in enumerate(names, 1) if _NO_PART.fullmatch(name.lower()))
    return ".".join(names[: next(places, 0)])


def _is_layer(key: str, around: Mapping[str, torch.Tensor], features: int, given: Counter[int]) -> bool:
    """Whether a tensor below such a name is what they never hold: a layer on the way from the features to the logits.

    A loss may have a matrix without a bias, which compares features with class centres. `given` counts the matrices
    by their outputs.
    """
    tensor, (module, _, name) = around[key], key.rpartition(".")
    if any(_LOSS.fullmatch(part) for part in key.lower().split(".")) and f"{module}.bias" not in around:
        return False
    if tensor.ndim == 1:
        return name in ("weight", "running_mean") and tensor.shape[0] == features
    if tensor.ndim < 2 or not name.endswith("weight") or list(tensor.shape[2:]) not in ([], [1, 1]):
        return False
    outputs, inputs = tensor.shape[:2]
    return inputs == features or given[inputs] > (outputs == inputs)


def _is_number(key: str, tensor: torch.Tensor) -> bool:
    """Whether it is a counter or a temperature."""
    name = key.lower().rpartition(".")[2]
    if tensor.numel() != 1:
        return False
    if not tensor.is_floating_point():
        return name != "num_batches_tracked"
    return bool(_COUNTERS.fullmatch(name) or (_TEMPERATURE.fullmatch(name) and tensor.item() > 0))
