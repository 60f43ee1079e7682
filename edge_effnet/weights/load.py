"""From a weight file to a network ready to use: `load_checkpoint`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.head import LINEAR, parse_head
from edge_effnet.io.text import brief, listed_names
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.build import adapt, build_network, built_of
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions, Wanted
from edge_effnet.weights.containers import Built, Contents, open_container
from edge_effnet.weights.described import Described
from edge_effnet.weights.files import read_file, sha256_of
from edge_effnet.weights.forward import Forward
from edge_effnet.weights.identify import (
    RIVALS,
    choose_origin,
    find_variant,
    fingerprint_of_tensors,
    published_preprocess,
    require_no_relative,
    with_widths,
)
from edge_effnet.weights.layouts import Layout
from edge_effnet.weights.normalization import for_channels
from edge_effnet.weights.origins import Origin, rescaled, resolve_origin
from edge_effnet.weights.placement import Placement, place
from edge_effnet.weights.save import SavedSettings
from edge_effnet.weights.snapshot import Snapshot, snapshot_beside, weight_file
from edge_effnet.weights.torchscript import require_operators
from edge_effnet.weights.transformers_config import require_padding


def load_checkpoint(
    source: str | Path, variant: str | VariantSpec | None = None, **wanted: Unpack[Wanted]
) -> Checkpoint:
    """Load weights from a `.pth`-like or `.safetensors` file in any of the known layouts.

    Args:
        source: the file.
        variant: what the file should hold, by name or as a spec of one's own; None takes what its shapes say.
        wanted: other than the file has it: `origin`, `num_classes`, `in_channels`, `image_size`, `dropout_rate`,
            `drop_connect_rate`, `activation`, `trained_activation`, `padding`, `include_top`, `preprocess`.

    Raises:
        InputError: unreadable file, unknown name, or weights that are not exactly such a network; the message
            lists what is missing, unexpected or misshapen.
    """
    expected = resolve_variant(variant) if isinstance(variant, str) else variant
    return load_path(Path(source), expected, LoadOptions(**wanted))


def load_path(path: Path, expected: VariantSpec | None, options: LoadOptions) -> Checkpoint:
    """Load a file, or a folder with one; a config beside a published name says what the weights do not.

    Raises:
        InputError: as `load_checkpoint`.
    """
    return load_file(weight_file(path), expected, with_snapshot(options, snapshot_beside(path)))


def with_snapshot(options: LoadOptions, snapshot: Snapshot) -> LoadOptions:
    """Add what a config says where `options` are silent."""
    return replace(options, preprocess=options.preprocess or snapshot.preprocess, beside=snapshot)


def load_file(path: Path, expected: VariantSpec | None, options: LoadOptions) -> Checkpoint:
    """Load a file as `load_checkpoint` does, with more that a hub's config or a table's row may know.

    Raises:
        InputError: as `load_checkpoint`.
    """
    contents = open_container(read_file(path), path, ema=options.ema)
    return load_contents(contents, path, expected, options, sha256=sha256_of(path))


def load_contents(
    contents: Contents, path: Path, expected: VariantSpec | None, options: LoadOptions, *, sha256: str
) -> Checkpoint:
    """Load what a file, or a module in memory, holds.

    `path` is that of the file or names the module's class; `expected` None takes the variant that a config or the
    shapes say.

    Raises:
        InputError: as `load_checkpoint`.
    """
    saved = SavedSettings.from_metadata(contents.metadata, path)
    beside = options.beside
    described = contents.described.or_else(beside.described)
    placed = place(contents.tensors, contents.others, path, _known_head(options, saved), ema=options.ema)
    require_no_relative((*beside.architectures, *described.architectures), path)
    said = () if contents.built else contents.described.architectures
    says = f" (the file says {brief(repr(said[0]))})" if said else ""
    spec = _variant_of(placed, expected or beside.spec, path, says)
    left_out = require_operators(
        contents.metadata,
        options.trained_activation or spec.activation,
        placed.head or (),
        normalises=placed.normalization is not None,
        path=path,
    )
    origin, guess = _origin_of(described, placed.layout, spec, path, options)
    known = published_preprocess(origin, spec, _architectures(described, spec, options))
    preprocess, assumed = _preprocess_of(spec, origin.name, saved, described, known, options)
    preprocess = _adjusted(preprocess, placed, options)
    _require_one_repository(placed, spec, preprocess, options, path)
    notes = [*beside.notes, *contents.notes, *placed.notes, *left_out]
    built = contents.built or saved or _told(spec, origin, described.forward, path, options, notes)
    trained = built_of(spec, origin, built, options.trained_activation)
    model = build_network(
        spec, trained, placed, options, image_size=preprocess.crop, path=path, notes=notes, says=says
    )
    file_classes = None if model.classifier is None else model.num_classes
    guess = None if saved is not None or contents.built else guess
    notes += filter(None, (guess, None if saved is not None else assumed))
    notes += adapt(model, trained, options, path=path)
    model.preprocess = for_channels(preprocess, model.in_channels, options, path, notes)
    own_names = contents.described.class_names or (saved.class_names if saved else None)
    names = _fitting_names(own_names or beside.described.class_names, file_classes, model, notes)
    names = names or _likely_names(described, file_classes, model, notes)
    model.class_names = None if names is None else require_class_names(names, path)
    rival = None if guess is None else RIVALS.get(origin.name)

    def read_as(name: str) -> Checkpoint:
        return load_contents(contents, path, expected, replace(options, origin=name), sha256=sha256)

    return Checkpoint(
        model=model,
        spec=spec,
        origin=origin.name,
        class_names=model.class_names,
        num_classes=model.num_classes,
        preprocess=model.preprocess,
        sha256=sha256,
        notes=tuple(notes),
        unproven=placed.unproven if model.classifier is not None and file_classes == model.num_classes else (),
        averaged=options.ema and (contents.copies or placed.copies),
        rival=rival,
        read_as=None if rival is None else read_as,
    )


def _known_head(options: LoadOptions, saved: SavedSettings | None) -> tuple[str, ...] | None:
    """Steps of the head as the caller or the file says them; None leaves them to the tensors."""
    text = options.head or (saved.head if saved is not None and saved.head != LINEAR else None)
    return None if text is None else parse_head(text)[0]


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
        raise InputError(f"{path}: holds {found.name} ({fingerprint}), not {spec.name}; ask for {found.name}.")
    return with_widths(spec, placed.tensors, placed.layout, title=str(path))


def _origin_of(
    described: Described, layout: Layout, spec: VariantSpec, path: Path, options: LoadOptions
) -> tuple[Origin, str | None]:
    if options.origin is None:
        architectures = _architectures(described, spec, options)
        return choose_origin(layout, spec, architectures=architectures, file_name=path.name)
    origin = resolve_origin(options.origin)
    # Our own layout can hold anybody's weights, so there the origin is the caller's to say.
    if layout.name not in (origin.layout, "edge-effnet"):
        raise InputError(
            f"{path}: its keys are those of {layout.name}, which origin {origin.name!r} never has; leave origin out."
        )
    return origin, None


def _architectures(described: Described, spec: VariantSpec, options: LoadOptions) -> tuple[str, ...]:
    """Names that can be the network's own, the most trustworthy first."""
    return (*options.beside.architectures, *(name for name in described.architectures if _may_be(name, spec)))


def _may_be(name: str, spec: VariantSpec) -> bool:
    """Whether a name in the file can be that of its network: its teacher's, say, is another variant's."""
    try:
        return resolve_variant(name).name == spec.name
    except InputError:
        return True


def _told(
    spec: VariantSpec, origin: Origin, forward: Forward, path: Path, options: LoadOptions, notes: list[str]
) -> Built:
    """How the file says that its network was built, and its origin where the file is silent.

    Raises:
        InputError: something that is not built here.
    """
    for argument, reason in forward.refused.items():
        if argument != "act_layer" or options.trained_activation is None:
            raise InputError(f"{path}: {reason}")
    usual = built_of(spec, origin, None)
    told = replace(usual, **forward.settings)
    news = [f"{name} {value}" for name, value in forward.settings.items() if value != getattr(usual, name)]
    if news:
        notes.append(f"The file says how its network was built, which was taken: {', '.join(news)}.")
    return told


def _preprocess_of(
    spec: VariantSpec,
    origin: str,
    saved: SavedSettings | None,
    described: Described,
    published: Preprocess | None,
    options: LoadOptions,
) -> tuple[Preprocess, str | None]:
    """Return the preprocessing, and a sentence for the user where the file decided or it had to be assumed."""
    known = options.preprocess or (saved.preprocess if saved else None) or published
    said = described.resizing if options.preprocess is None and saved is None else None
    if said is not None:
        base = known or Preprocess(crop=spec.resolution, resize=spec.resolution)
        changed = said.applied(base)
        note = f"{said.where} says how images were prepared, which was taken: {said}."
        return rescaled(changed, options.image_size or changed.crop), None if changed == base else note
    size = options.image_size
    if size is None and options.preprocess is None and saved is not None:
        size = saved.image_size
    if known is not None:
        return (known if size is None else rescaled(known, size)), None
    size = size or spec.resolution
    return Preprocess(crop=size, resize=size), (
        f"{origin} published no {spec.name}, so its preprocessing was assumed: {size} pixels, mean and "
        "std of ImageNet; pass preprocess= if it was another in training."
    )


def _adjusted(preprocess: Preprocess, placed: Placement, options: LoadOptions) -> Preprocess:
    """Put in what layers in front of the network normalize, and what the caller says of sizes."""
    if placed.normalization is not None and options.preprocess is None:
        preprocess = replace(preprocess, mean=placed.normalization.mean, std=placed.normalization.std)
    return preprocess if options.geometry is None else options.geometry.applied(preprocess)


def _require_one_repository(
    placed: Placement, spec: VariantSpec, preprocess: Preprocess, options: LoadOptions, path: Path
) -> None:
    """Refuse tensors beside a config of another library, and padding that transformers' code does not do.

    Raises:
        InputError: they do not go together.
    """
    if placed.layout.name == "transformers":
        require_padding(spec, preprocess.crop, options.beside.odd_blocks, path)
    elif options.beside.odd_blocks is not None:
        raise InputError(
            f"{path}: its config.json is made for transformers (model_type 'efficientnet'), its tensors are named as "
            f"those of {placed.layout.name}; take both from one repository."
        )


def _fitting_names(
    names: tuple[str, ...] | None, file_classes: int | None, model: EfficientNet, notes: list[str]
) -> tuple[str, ...] | None:
    """Return the class names if the classifier is still the file's own and has as many outputs."""
    if names is None or model.classifier is None or file_classes != model.num_classes:
        return None
    if len(names) != model.num_classes:
        notes.append(f"The file names {len(names)} classes for a classifier of {model.num_classes}: names ignored.")
        return None
    return names


def _likely_names(
    described: Described, file_classes: int | None, model: EfficientNet, notes: list[str]
) -> tuple[str, ...] | None:
    """Return what entries hold that may be class names: one different name for each output, and all of them agree."""
    likely = described.likely_names
    if not likely or model.classifier is None or file_classes != model.num_classes:
        return None
    fitting = {names for _, names in likely if names and len(set(names)) == len(names) == model.num_classes}
    if len(fitting) == 1:
        return fitting.pop()
    notes.append(
        f"The file's {listed_names(key for key, _ in likely)} were not taken for class names: "
        + ("they differ." if fitting else f"need {model.num_classes} different names in order, or by 0, 1, 2, ...")
    )
    return None
