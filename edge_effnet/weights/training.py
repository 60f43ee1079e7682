"""How a network was trained: whose weights they are, how it was built for them, and what its images went through."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge_effnet.activations import make_activation
from edge_effnet.errors import InputError
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VariantSpec
from edge_effnet.weights.containers import Built
from edge_effnet.weights.identify import Identified
from edge_effnet.weights.layouts import Layout
from edge_effnet.weights.origins import ORIGINS, Origin, rescaled, resolve_origin
from edge_effnet.weights.transformers_config import require_padding


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What tensors do not show of their training."""

    origin: Origin
    rival: str | None
    """Another origin that the names in the file fit as well; None where they tell, or the caller did."""
    built: Built
    preprocess: Preprocess
    """Its mean and std are not yet for as many channels as the first convolution takes."""
    notes: tuple[str, ...]
    """Sentences for the user on what the file says of its forward pass."""
    guesses: tuple[str, ...]
    """Sentences on the origin and the images, where the file decided or leaves them open."""


def training_of(found: Identified) -> Training:
    """Decide how a network was trained, by the caller's word, the file's, a config's beside it, or its origin's.

    Raises:
        InputError: another layout's origin, another library's config, or what is unknown or not built here.
    """
    origin, guess = _origin_of(found)
    preprocess, decided = _preprocess_of(found, origin)
    _require_one_repository(found, preprocess)
    built, notes = _built_of(found, origin)
    return Training(
        origin=origin,
        rival=None if guess is None else RIVALS.get(origin.name),
        built=built,
        preprocess=preprocess,
        notes=notes,
        guesses=tuple(filter(None, (guess, decided))),
    )


def _origin_of(found: Identified) -> tuple[Origin, str | None]:
    """Return the origin, and a sentence for the user where it was a guess and decides anything."""
    layout, path, wanted = found.placed.layout, found.path, found.options.origin
    if wanted is None:
        origin, guess = choose_origin(layout, found.spec, architectures=found.architectures, file_name=path.name)
        return origin, None if found.saved or found.contents.built else guess
    origin = resolve_origin(wanted)
    # Our own layout can hold anybody's weights, so there the origin is the caller's to say.
    if layout.name not in (origin.layout, "edge-effnet"):
        raise InputError(
            f"{path}: its keys are those of {layout.name}, which origin {origin.name!r} never has; leave origin out."
        )
    return origin, None


def _preprocess_of(found: Identified, origin: Origin) -> tuple[Preprocess, str | None]:
    """Return the preprocessing, and a sentence for the user where the file decided or it had to be assumed."""
    spec, options = found.spec, found.options
    saved = found.saved if options.preprocess is None else None  # the caller's word comes before the file's
    published = published_preprocess(origin, spec, found.architectures)
    known = options.preprocess or (saved.preprocess if saved else None) or published
    said = None if options.preprocess or saved else found.described.resizing
    size = saved.image_size if saved and options.image_size is None else options.image_size
    note = None
    if said is not None:
        usual = known or Preprocess(crop=spec.resolution, resize=spec.resolution)
        preprocess = said.applied(usual)
        if preprocess != usual:
            note = f"{said.where} says how images were prepared, which was taken: {said}."
    elif known is not None:
        preprocess = known
    else:
        side = spec.resolution if size is None else size
        preprocess = Preprocess(crop=side, resize=side)
        if saved is None:
            note = (
                f"{origin.name} published no {spec.name}, so its preprocessing was assumed: {side} pixels, mean and "
                "std of ImageNet; pass preprocess= if it was another in training."
            )
    preprocess = preprocess if size is None else rescaled(preprocess, size)
    of_module = found.placed.normalization
    if of_module is not None and options.preprocess is None:
        preprocess = replace(preprocess, mean=of_module.mean, std=of_module.std)
    return preprocess if options.geometry is None else options.geometry.applied(preprocess), note


def _require_one_repository(found: Identified, preprocess: Preprocess) -> None:
    """Refuse tensors beside a config of another library, and padding that transformers' code does not do."""
    layout, odd_blocks = found.placed.layout, found.options.beside.odd_blocks
    if layout.name == "transformers":
        require_padding(found.spec, preprocess.crop, odd_blocks, found.path)
    elif odd_blocks is not None:
        raise InputError(
            f"{found.path}: its config.json is made for transformers (model_type 'efficientnet'), its tensors are "
            f"named as those of {layout.name}; take both from one repository."
        )


def _built_of(found: Identified, origin: Origin) -> tuple[Built, tuple[str, ...]]:
    """Return how the network was built, and a sentence for the user where the file's word was taken for it."""
    spec, known, activation = found.spec, found.contents.built or found.saved, found.options.trained_activation
    notes: tuple[str, ...] = ()
    if known is not None:
        built = Built(padding=known.padding, bn_eps=known.bn_eps, activation=known.activation)
    else:
        forward = found.described.forward
        for argument, reason in forward.refused.items():
            if argument != "act_layer" or activation is None:
                raise InputError(f"{found.path}: {reason}")
        usual = Built(padding=origin.padding_for(spec.name), bn_eps=origin.eps(spec.name), activation=spec.activation)
        built = replace(usual, **forward.settings)
        news = [f"{name} {value}" for name, value in forward.settings.items() if value != getattr(usual, name)]
        if news:
            notes = (f"The file says how its network was built, which was taken: {', '.join(news)}.",)
    if activation is not None:
        make_activation(activation)
        built = replace(built, activation=activation)
    return built, notes


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
