"""From a name, a hub id or a path to a loaded checkpoint: what `EfficientNet.from_pretrained` stands on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edge_effnet.errors import InputError
from edge_effnet.variants import VARIANTS, VariantSpec, resolve_variant
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions
from edge_effnet.weights.download import download
from edge_effnet.weights.files import SUFFIXES
from edge_effnet.weights.hub import SCHEME, fetch_from_hub
from edge_effnet.weights.load import load_beside, load_file, load_path
from edge_effnet.weights.snapshot import weight_file
from edge_effnet.weights.sources import HUB_SOURCES, SOURCES, Source

# Names that mean one of timm's weights: those of its ports from TensorFlow, and any with a tag.
_TIMM_NAME = re.compile(r"tf_|.*\.|.*_(?:ap|ns)")


def load_pretrained(
    source: str | Path | Source,
    *,
    variant: str | None = None,
    advprop: bool = False,
    options: LoadOptions | None = None,
    cache_dir: Path | None = None,
) -> Checkpoint:
    """Load weights from wherever they are.

    Args:
        source: a file, or a folder as timm and transformers publish it; a key of `SOURCES`;
            `hf://owner/name[@revision]`; timm's name with its tag; a variant's name, which means lukemelas' weights
            of it (where there are none, those of `HUB_SOURCES`); or a `Source` of one's own.
        variant: what the weights should be, where that is to be checked.
        advprop: the AdvProp weights of the variant that `source` names.
        options: what is wanted other than the weights have it.
        cache_dir: where downloads are kept; torch.hub's and huggingface_hub's own folders by default.

    Raises:
        InputError: unknown source, or weights that are not exactly such a network.
        MachineError: no network, or the disk is full.
    """
    options = options or LoadOptions()
    expected = None if variant is None else resolve_variant(variant)
    resolved = _resolve(source, advprop=advprop)
    if isinstance(resolved, Path):
        return load_path(resolved, expected, options)
    if isinstance(resolved, Source):
        spec = VARIANTS[resolved.variant]
        _require_variant(resolved.name, spec.name, expected)
        known = replace(
            options,
            origin=options.origin or resolved.origin,
            preprocess=options.preprocess or resolved.preprocess,
        )
        return load_file(download(resolved, cache_dir), spec, known)
    hub = fetch_from_hub(resolved, cache_dir)
    if hub.snapshot.spec is not None:
        _require_variant(resolved, hub.snapshot.spec.name, expected)
    return load_beside(hub.weights, hub.snapshot, expected, options)


def _resolve(source: str | Path | Source, *, advprop: bool) -> Path | Source | str:
    """Decide what a source is: a file, a row of the table, or a hub id (still with its scheme)."""
    if isinstance(source, Path | Source):
        found: Path | Source | str = source
    elif source.startswith(SCHEME):
        found = source
    elif source in SOURCES:
        found = SOURCES[source]
    elif _is_path(source):
        found = Path(source).expanduser()
    else:
        return _published(source, advprop=advprop)
    if advprop:
        raise InputError(
            f"advprop=True chooses among the published weights of a variant; {source} names one file: leave it out."
        )
    return found


def _is_path(source: str) -> bool:
    """Whether a source is a file or a folder; a folder that is named as a variant is one if a model lies in it."""
    path = Path(source)
    if path.is_file() or path.suffix.lower() in SUFFIXES or source.startswith((".", "/", "~")):
        return True
    return path.is_dir() and weight_file(path) is not path


def _published(name: str, *, advprop: bool) -> Source | str:
    """Find the published weights that a variant's name alone means."""
    try:
        variant = resolve_variant(name).name
    except InputError as error:
        if Path(name).is_dir():
            raise InputError(
                f"{name}: a folder without weights; give the weight file itself ({', '.join(SUFFIXES)})."
            ) from error
        raise InputError(
            f"unknown source {name!r}: neither a file, nor a hub id (hf://owner/name), nor one of "
            f"{', '.join((*VARIANTS, *SOURCES))}."
        ) from error
    if not advprop and _TIMM_NAME.match(name.lower()):
        return _timm(name.lower(), variant)
    key = f"lukemelas/efficientnet-{variant}" + ("-advprop" if advprop else "")
    if key in SOURCES:
        return SOURCES[key]
    if advprop:
        raise InputError(f"no AdvProp weights were published for {variant}; there are those of b0 to b8.")
    return SCHEME + HUB_SOURCES[variant]


def _timm(name: str, variant: str) -> str:
    if "." in name:
        return f"{SCHEME}timm/{name}"
    if variant in HUB_SOURCES:
        return SCHEME + HUB_SOURCES[variant]
    raise InputError(
        f"timm publishes several weights of {variant}; name them with their tag, such as "
        f"hf://timm/tf_efficientnet_{variant}.ns_jft_in1k or hf://timm/tf_efficientnet_{variant}.ap_in1k."
    )


def _require_variant(source: str, found: str, expected: VariantSpec | None) -> None:
    if expected is not None and found != expected.name:
        raise InputError(f"{source} holds {found}, not {expected.name}; leave variant out or ask for another source.")
