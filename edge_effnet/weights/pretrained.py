"""From a name, a hub id or a path to a loaded checkpoint, downloaded where need be."""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import socket
import sys
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError, URLError

import torch

from edge_effnet.errors import InputError, MachineError
from edge_effnet.variants import VARIANTS, VariantSpec, resolve_variant
from edge_effnet.weights.checkpoint import Checkpoint, LoadOptions
from edge_effnet.weights.files import SUFFIXES, sha256_of
from edge_effnet.weights.hub import SCHEME, fetch_from_hub
from edge_effnet.weights.load import load_file, load_path, with_snapshot
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
            options, origin=options.origin or resolved.origin, preprocess=options.preprocess or resolved.preprocess
        )
        return load_file(download(resolved, cache_dir), spec, known)
    weights, snapshot = fetch_from_hub(resolved, cache_dir)
    if snapshot.spec is not None:
        _require_variant(resolved, snapshot.spec.name, expected)
    return load_file(weights, expected, with_snapshot(options, snapshot))


def _resolve(source: str | Path | Source, *, advprop: bool) -> Path | Source | str:
    """Decide what a source is: a file, a row of the table, or a hub id (still with its scheme)."""
    if isinstance(source, Path | Source) or source.startswith(SCHEME):
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
    of_timm = not advprop and _TIMM_NAME.match(name.lower())
    if of_timm and "." in name:
        return f"{SCHEME}timm/{name.lower()}"
    if of_timm and variant not in HUB_SOURCES:
        raise InputError(
            f"timm publishes several weights of {variant}; name them with their tag, such as "
            f"hf://timm/tf_efficientnet_{variant}.ns_jft_in1k or hf://timm/tf_efficientnet_{variant}.ap_in1k."
        )
    key = f"lukemelas/efficientnet-{variant}" + ("-advprop" if advprop else "")
    if key in SOURCES and not of_timm:
        return SOURCES[key]
    if advprop:
        raise InputError(f"no AdvProp weights were published for {variant}; there are those of b0 to b8.")
    return SCHEME + HUB_SOURCES[variant]


def _require_variant(source: str, found: str, expected: VariantSpec | None) -> None:
    if expected is not None and found != expected.name:
        raise InputError(f"{source} holds {found}, not {expected.name}; leave variant out or ask for another source.")


_logger = logging.getLogger(__name__)


def download(source: Source, cache_dir: Path | None = None) -> Path:
    """Return the source's file, from the cache (`checkpoints` in torch.hub's folder) where it is there whole.

    Raises:
        MachineError: no network, the server refuses, the file that came is another one, or the disk is full.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints" if cache_dir is None else cache_dir
    path = folder / source.file_name
    if path.is_file():
        if sha256_of(path).startswith(source.sha256_prefix):
            return path
        _logger.warning("%s does not match its hash; downloading it again", path)
    _logger.info("downloading %s to %s", source.url, path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as after:
            # torch.hub waits for ever on a firewall that drops packets silently.
            after.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
            socket.setdefaulttimeout(30.0)
            torch.hub.download_url_to_file(
                source.url, str(path), hash_prefix=source.sha256_prefix, progress=sys.stderr.isatty()
            )
    except HTTPError as error:
        error.close()
        raise _failure(source, f"the server answers {error.code} {error.reason}") from error
    except (URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _failure(source, f"no connection: {reason or type(error).__name__}") from error
    except OSError as error:
        raise MachineError(f"{path}: cannot be written ({error.strerror}); free space or pass cache_dir.") from error
    except RuntimeError as error:  # torch.hub's way to say that the hash differs
        raise _failure(source, f"what came does not match the hash {source.sha256_prefix}") from error
    return path


def _failure(source: Source, reason: str) -> MachineError:
    return MachineError(
        f"{source.name} cannot be downloaded from {source.url} ({reason}); fetch {source.file_name} "
        "elsewhere and pass its path instead of the name."
    )
