"""From a weight file to a network ready to use: `load_checkpoint`."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from edge_effnet.class_names import require_class_names
from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.model import EfficientNet
from edge_effnet.preprocess import Preprocess
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.build import Trained, adapt, build_network
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions, Wanted
from edge_effnet.weights.containers import Contents, open_container
from edge_effnet.weights.files import read_file, sha256_of
from edge_effnet.weights.identify import choose_origin, find_variant, fingerprint_of_tensors, with_widths
from edge_effnet.weights.layouts import LAYOUTS, Layout, detect_layout
from edge_effnet.weights.origins import Origin, rescaled, resolve_origin
from edge_effnet.weights.save import SavedSettings


def load_checkpoint(
    source: str | Path, variant: str | VariantSpec | None = None, **wanted: Unpack[Wanted]
) -> Checkpoint:
    """Load weights from a `.pth`-like or `.safetensors` file in any of the known layouts.

    Args:
        source: the file.
        variant: what the file should hold, by name or as a spec of one's own; None takes what its shapes say.
        wanted: other than the file has it: `origin`, `num_classes`, `in_channels`, `image_size`, `dropout_rate`,
            `drop_connect_rate`, `activation`, `padding`, `include_top`, `preprocess`; see `Wanted`.

    Raises:
        InputError: unreadable file, unknown name, or weights that are not exactly such a network; the message
            lists what is missing, unexpected or misshapen.
    """
    expected = resolve_variant(variant) if isinstance(variant, str) else variant
    return load_file(Path(source), expected, LoadOptions(**wanted))


def load_file(path: Path, expected: VariantSpec | None, options: LoadOptions) -> Checkpoint:
    """Load a file as `load_checkpoint` does, with more that a hub's config or a table's row may know.

    Raises:
        InputError: as `load_checkpoint`.
    """
    contents = open_container(read_file(path), path)
    saved = SavedSettings.from_metadata(contents.metadata, path)
    layout = _layout_of(contents, path)
    spec = _variant_of(contents, layout, expected, path)
    origin, guess = _origin_of(contents, layout, spec, path, options)
    preprocess, assumed = _preprocess_of(spec, origin, saved, options)
    trained = Trained.of(spec, layout, origin, saved)
    model = build_network(trained, contents.tensors, options, image_size=preprocess.crop, path=path)
    file_classes = None if model.classifier is None else model.num_classes
    guesses = () if saved is not None else (guess, assumed)
    notes = [*contents.notes, *(note for note in guesses if note is not None)]
    notes += adapt(model, trained, options, path=path)
    names = contents.class_names or (saved.class_names if saved else None) or options.class_names
    fitting = _fitting_names(names, file_classes, model, notes)
    model.class_names = None if fitting is None else require_class_names(fitting, path)
    model.preprocess = preprocess
    return Checkpoint(
        model=model,
        spec=spec,
        origin=origin.name,
        class_names=model.class_names,
        num_classes=model.num_classes,
        preprocess=preprocess,
        sha256=sha256_of(path),
        notes=tuple(notes),
    )


def _layout_of(contents: Contents, path: Path) -> Layout:
    layout = detect_layout(contents.tensors)
    if layout is None:
        keys = list(contents.tensors)
        raise InputError(
            f"{path}: no EfficientNet in a layout known here ({', '.join(LAYOUTS)}); its {len(keys)} "
            f"tensors begin with {', '.join(map(brief, keys[:4]))}."
        )
    return layout


def _variant_of(contents: Contents, layout: Layout, expected: VariantSpec | None, path: Path) -> VariantSpec:
    fingerprint = fingerprint_of_tensors(contents.tensors, layout)
    found = None if fingerprint is None else find_variant(fingerprint)
    if expected is None:
        if found is None:
            raise InputError(
                f"{path}: no variant of EfficientNet ({fingerprint or 'no convolutions at its ends'}): a "
                "damaged file, or another architecture."
            )
        return with_widths(found, contents.tensors, layout, title=str(path))
    # A few tensors missing would make the fingerprint one of nothing: strict matching then says which. A network that
    # somebody pruned by whole tiles looks like an unpruned one.
    if found is not None and found != expected and found.pruned >= expected.pruned:
        raise InputError(f"{path}: holds {found.name} ({fingerprint}), not {expected.name}; ask for {found.name}.")
    return with_widths(expected, contents.tensors, layout, title=str(path))


def _origin_of(
    contents: Contents, layout: Layout, spec: VariantSpec, path: Path, options: LoadOptions
) -> tuple[Origin, str | None]:
    if options.origin is None:
        arch = () if contents.arch is None else (contents.arch,)
        architectures = (*options.architectures, *arch)
        return choose_origin(layout, spec, architectures=architectures, file_name=path.name)
    origin = resolve_origin(options.origin)
    # Our own layout can hold anybody's weights, so there the origin is the caller's to say.
    if layout.name not in (origin.layout, "edge-effnet"):
        raise InputError(
            f"{path}: its keys are those of {layout.name}, which origin {origin.name!r} never has; leave origin out."
        )
    return origin, None


def _preprocess_of(
    spec: VariantSpec, origin: Origin, saved: SavedSettings | None, options: LoadOptions
) -> tuple[Preprocess, str | None]:
    """Return the preprocessing, and a sentence for the user where it had to be assumed."""
    known = options.preprocess or (saved.preprocess if saved else None) or origin.preprocess.get(spec.name)
    size = options.image_size
    if size is None and options.preprocess is None and saved is not None:
        size = saved.image_size
    if known is not None:
        return (known if size is None else rescaled(known, size)), None
    size = size or spec.resolution
    return Preprocess(crop=size, resize=size), (
        f"{origin.name} published no {spec.name}, so its preprocessing was assumed: {size} pixels, mean and "
        "std of ImageNet; pass preprocess= if it was another in training."
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
