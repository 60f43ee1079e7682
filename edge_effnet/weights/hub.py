"""Weights from the Hugging Face hub: config.json names the architecture, another file has the weights.

Cache, resumed downloads, offline mode (`HF_HUB_OFFLINE=1`), mirrors (`HF_ENDPOINT`) and tokens are those of
huggingface_hub itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from edge_effnet.errors import InputError, MachineError
from edge_effnet.io.files import foreign
from edge_effnet.io.text import brief
from edge_effnet.preprocess import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS, Preprocess
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.origins import by_crop_fraction

SCHEME = "hf://"

CONFIG_FILE = "config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Preferred first."""

_SERVER_ERROR = 500

_MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Names of 21,843 classes, with a description of each, are 2 MB."""

_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class HubModel:
    """A downloaded repository."""

    weights: Path
    """The weight file in huggingface_hub's cache."""
    spec: VariantSpec
    """By the config's architecture."""
    architecture: str
    """As the config names it, with the tag of its training: `tf_efficientnet_b0.ap_in1k`."""
    preprocess: Preprocess | None
    """By the config's `pretrained_cfg`; None where it has none."""
    class_names: tuple[str, ...] | None
    """The config's `label_names`."""
    notes: tuple[str, ...]
    """Sentences for the user."""


def fetch_from_hub(source: str, cache_dir: Path | None = None) -> HubModel:
    """Download (or find in the cache) `hf://owner/name` or `hf://owner/name@revision`.

    Raises:
        InputError: no such id, repository or file, or a config that is not an EfficientNet's.
        MachineError: no network, or offline mode, and the file is not in the cache; a full disk.
    """
    match = _ID.fullmatch(source.removeprefix(SCHEME))
    if match is None:
        raise InputError(
            f"{source!r} is no hub id; write hf://owner/name, such as hf://timm/efficientnet_b0.ra_in1k."
        )
    repo, revision = match["repo"], match["revision"]
    config = _read_config(_fetch(repo, CONFIG_FILE, revision, cache_dir), repo)
    architecture, pretrained = config["architecture"], config.get("pretrained_cfg") or {}
    if not isinstance(pretrained, Mapping):
        raise InputError(
            f"{SCHEME}{repo}: its pretrained_cfg is no mapping; take another revision of the repository."
        )
    tag = pretrained.get("tag") or ""
    preprocess, notes = _preprocess(pretrained, repo)
    return HubModel(
        weights=_fetch_weights(repo, revision, cache_dir),
        spec=_variant(architecture, repo),
        architecture=f"{architecture}.{tag}"
        if isinstance(tag, str) and tag and "." not in architecture
        else architecture,
        preprocess=preprocess,
        class_names=_label_names(config),
        notes=notes,
    )


def _read_config(path: Path, repo: str) -> dict[str, Any]:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise InputError(
            f"{SCHEME}{repo}: its {CONFIG_FILE} has more than {_MAX_CONFIG_BYTES} bytes, as none of timm's."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{SCHEME}{repo}: its {CONFIG_FILE} is not JSON ({brief(error)}).") from error
    if isinstance(config, dict) and isinstance(config.get("architecture"), str):
        return config
    hint = ""
    if isinstance(config, dict) and "model_type" in config:
        hint = f" It is made for transformers (model_type {brief(repr(config['model_type']))}); take timm's instead."
    raise InputError(f"{SCHEME}{repo}: its {CONFIG_FILE} names no timm architecture.{hint}")


def _variant(architecture: str, repo: str) -> VariantSpec:
    try:
        return resolve_variant(architecture)
    except InputError as error:
        raise InputError(f"{SCHEME}{repo}: {error}") from error


def _preprocess(pretrained: Mapping[str, Any], repo: str) -> tuple[Preprocess | None, tuple[str, ...]]:
    """Read timm's `pretrained_cfg`; what it leaves out is ImageNet's usual."""
    if "input_size" not in pretrained:
        return None, ()
    notes = []
    interpolation = pretrained.get("interpolation", "bicubic")
    if not isinstance(interpolation, str) or interpolation not in INTERPOLATIONS:
        notes.append(f"The config asks for {brief(repr(interpolation))} interpolation; bicubic is used.")
        interpolation = "bicubic"
    if pretrained.get("crop_mode", "center") != "center":
        notes.append(
            f"The config asks for crop mode {brief(repr(pretrained['crop_mode']))}; the centre is cropped, which can "
            "cost a little accuracy on images that are not square."
        )
    with foreign(f"{SCHEME}{repo}: its pretrained_cfg cannot be used; take another revision of the repository."):
        try:
            geometry = by_crop_fraction(
                int(pretrained["input_size"][-1]), float(pretrained.get("crop_pct", 0.875)), interpolation
            )
            return replace(
                geometry,
                mean=tuple(pretrained.get("mean", IMAGENET_MEAN)),
                std=tuple(pretrained.get("std", IMAGENET_STD)),
            ), tuple(notes)
        except InputError as error:
            raise InputError(f"{SCHEME}{repo}: its pretrained_cfg cannot be used ({error}).") from error


def _label_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = config.get("label_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def _fetch_weights(repo: str, revision: str | None, cache_dir: Path | None) -> Path:
    unreachable: MachineError | None = None
    for name in WEIGHT_FILES:
        try:
            return _fetch(repo, name, revision, cache_dir)
        except _NoSuchFileError:
            continue
        except MachineError as error:  # offline, the other file may be the one in the cache
            unreachable = unreachable or error
    raise unreachable or InputError(f"{SCHEME}{repo}: the repository has neither {' nor '.join(WEIGHT_FILES)}.")


class _NoSuchFileError(InputError):
    """The repository exists and lacks this file."""


def _fetch(repo: str, name: str, revision: str | None, cache_dir: Path | None) -> Path:
    problem: str | None = None
    try:
        problem = _connection_problem(hf_hub_url(repo, name, revision=revision))
        path = hf_hub_download(
            repo, name, revision=revision, cache_dir=cache_dir, local_files_only=problem is not None
        )
        return Path(path)
    except HFValidationError as error:
        raise InputError(f"{SCHEME}{repo}: not a valid id ({error}); write hf://owner/name.") from error
    except GatedRepoError as error:
        raise InputError(
            f"{SCHEME}{repo}: its owner asks for consent first; give it on the hub and log in (`hf auth login`)."
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{SCHEME}{repo}: no such repository (or a private one: log in with `hf auth login`)."
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{SCHEME}{repo}: no such revision {revision!r}.") from error
    except LocalEntryNotFoundError as error:  # before EntryNotFoundError, whose subclass it is
        raise _unreachable(repo, name, problem or _first_line(error)) from error
    except EntryNotFoundError as error:
        raise _NoSuchFileError(f"{SCHEME}{repo}: the repository has no {name}.") from error
    except HfHubHTTPError as error:
        raise _unreachable(repo, name, _first_line(error)) from error
    except OSError as error:
        raise MachineError(
            f"{SCHEME}{repo}: {name} cannot be stored ({_first_line(error)}); free space or pass cache_dir."
        ) from error
    # A transfer that breaks off: again an error of whichever HTTP library.
    except Exception as error:
        raise _unreachable(repo, name, f"{type(error).__name__}: {_first_line(error)}") from error


def _connection_problem(url: str) -> str | None:
    """Ask the hub once whether it is there; huggingface_hub alone repeats that for half a minute, aloud.

    Returns:
        What is wrong with the connection, or None where the hub answers, be it with a refusal.
    """
    try:
        get_hf_file_metadata(url)
    except OfflineModeIsEnabled:
        return "offline mode is on, see HF_HUB_OFFLINE"
    except HfHubHTTPError as error:
        return _first_line(error) if error.response.status_code >= _SERVER_ERROR else None
    # Connection errors belong to the HTTP library below huggingface_hub, another one in each version.
    except Exception as error:
        return f"no connection: {_first_line(error)}"
    return None


def _unreachable(repo: str, name: str, reason: str) -> MachineError:
    return MachineError(
        f"{SCHEME}{repo}: {name} cannot be downloaded ({reason}) and is not in the cache; fetch "
        f"{' or '.join(WEIGHT_FILES)} of that repository elsewhere and pass its path instead."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
