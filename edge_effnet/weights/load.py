"""From a weight file to a network ready to use: `load_checkpoint`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from edge_effnet.class_names import require_class_names
from edge_effnet.io.text import listed_names
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.build import adapt, build_network
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions, Wanted
from edge_effnet.weights.containers import Contents, open_container
from edge_effnet.weights.files import read_file, sha256_of
from edge_effnet.weights.identify import Identified, identify
from edge_effnet.weights.normalization import for_channels
from edge_effnet.weights.snapshot import Snapshot, snapshot_beside, weight_file
from edge_effnet.weights.training import training_of


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
    found = identify(contents, path, expected, options)
    training = training_of(found)
    model, folded = build_network(found, training)
    file_classes = None if model.classifier is None else model.num_classes
    changed = adapt(model, training.built, options, path=path)
    own_head = model.classifier is not None and model.num_classes == file_classes
    model.preprocess, assumed = for_channels(training.preprocess, model.in_channels, options, path)
    model.class_names, ignored = _class_names(found, model.num_classes) if own_head else (None, ())

    def read_as(name: str) -> Checkpoint:
        return load_contents(contents, path, expected, replace(options, origin=name), sha256=sha256)

    return Checkpoint(
        model=model,
        spec=found.spec,
        origin=training.origin.name,
        class_names=model.class_names,
        num_classes=model.num_classes,
        preprocess=model.preprocess,
        sha256=sha256,
        notes=(*found.notes, *training.notes, *folded, *training.guesses, *changed, *assumed, *ignored),
        unproven=found.placed.unproven if own_head else (),
        averaged=options.ema and (contents.copies or found.placed.copies),
        rival=training.rival,
        read_as=None if training.rival is None else read_as,
    )


def _class_names(found: Identified, classes: int) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return names for all `classes` of a file's own classifier, and sentences on names that were ignored.

    Entries that only may be class names count where they have one different name for each output, and all agree.
    """
    own = found.contents.described.class_names or (found.saved.class_names if found.saved else None)
    names = own or found.options.beside.described.class_names
    if names is not None and len(names) == classes:
        return require_class_names(names, found.path), ()
    notes = []
    if names is not None:
        notes.append(f"The file names {len(names)} classes for a classifier of {classes}: names ignored.")
    likely = found.described.likely_names
    fitting = {given for _, given in likely if given and len(set(given)) == len(given) == classes}
    if len(fitting) == 1:
        return require_class_names(fitting.pop(), found.path), tuple(notes)
    if likely:
        why = "they differ." if fitting else f"need {classes} different names in order, or by 0, 1, 2, ..."
        notes.append(f"The file's {listed_names(key for key, _ in likely)} were not taken for class names: {why}")
    return None, tuple(notes)
