"""A model's folder as timm and transformers publish it: what lies in it beside the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief, listed_names
from edge_effnet.peer_transforms import CROP_MODES, square_side
from edge_effnet.preprocess import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS, Preprocess
from edge_effnet.variants import VariantSpec, resolve_variant
from edge_effnet.weights.described import Described, class_names_of, describe
from edge_effnet.weights.files import may_be_weights
from edge_effnet.weights.forward import ARGUMENTS, read_forward
from edge_effnet.weights.origins import by_crop_fraction
from edge_effnet.weights.transformers_config import preprocess_of_processor, require_efficientnet, usable

CONFIG_FILE = "config.json"
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
"""Of transformers, newest first; the first has the image processor among others."""
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Preferred first."""

_SHARDED = "its weights are in several files; save them in one: model.save_pretrained(FOLDER, max_shard_size='10GB')."
_SHARD = re.compile(r"(?:pytorch_)?model-\d{5}-of-(?!00001)\d{5}\.(?:safetensors|bin)")
"""One of several files, as `save_pretrained` calls it."""
_INDEX = "*.index.json"

_OTHER_FOLDERS = {
    _INDEX: _SHARDED,
    "*.distcp": "a checkpoint of torch.distributed; make a file of it: from "
    'torch.distributed.checkpoint.format_utils import dcp_to_torch_save; dcp_to_torch_save(FOLDER, "weights.pth").',
    "saved_model.pb": "a SavedModel of TensorFlow; PyTorch weights are needed, which timm has of the same networks: "
    "timm.create_model('tf_efficientnet_b0', pretrained=True).",
}
"""Folders that are no model of PyTorch in one file, by what lies in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the files beside the weights say."""

    spec: VariantSpec | None = None
    """By timm's architecture; None where the shapes of the weights have to tell."""
    architectures: tuple[str, ...] = ()
    """As timm names it, with the tag of its training: `tf_efficientnet_b0.ap_in1k`."""
    preprocess: Preprocess | None = None
    """None where nothing is said about it."""
    odd_blocks: tuple[int, ...] | None = None
    """transformers' `depthwise_padding`: blocks whose input has an odd side."""
    described: Described = field(default_factory=Described)
    """Class names, and what a config of one's own says."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


def weight_file(path: Path) -> Path:
    """Return the weight file that a path means: itself, or the one in a folder.

    Raises:
        InputError: a folder with several, or with weights of another kind; one shard of several, or their index.
    """
    if path.is_file() and (_SHARD.fullmatch(path.name) or path.match(_INDEX)):
        raise InputError(f"{path}: a part of a model; {_SHARDED}")
    usual = next((path / name for name in WEIGHT_FILES if (path / name).is_file()), path)
    if usual is not path or not path.is_dir():
        return usual
    for pattern, remedy in _OTHER_FOLDERS.items():
        if any(path.glob(pattern)):
            raise InputError(f"{path}: {remedy}")
    found = sorted(file for file in path.iterdir() if may_be_weights(file))
    if any(_SHARD.fullmatch(file.name) for file in found):
        raise InputError(f"{path}: {_SHARDED}")
    if len(found) > 1:
        named = listed_names(file.name for file in found)
        raise InputError(f"{path}: a folder with {len(found)} weight files ({named}); give the one that is meant.")
    return found[0] if found else path


def snapshot_beside(path: Path) -> Snapshot:
    """Read the config in a folder, or beside a weight file of a published name; an empty one where there is none.

    Raises:
        InputError: as `read_config` and `read_snapshot`.
    """
    folder = path.parent if path.name in WEIGHT_FILES else path

    def read(name: str) -> Any:
        return read_config(folder / name, str(folder)) if (folder / name).is_file() else None

    if not (folder / CONFIG_FILE).is_file():
        return Snapshot()
    return read_snapshot(read(CONFIG_FILE), read_processor(read), str(folder))


def read_config(path: Path, where: str) -> Any:
    """Read a JSON file of a model's folder.

    Raises:
        InputError: too large, or no JSON.
    """
    most = 4 * 1024 * 1024  # names of 21,843 classes, with a description of each, are 2 MB
    if path.stat().st_size > most:
        raise InputError(f"{where}: its {path.name} has more than {most} bytes, as none of timm's.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: its {path.name} is not JSON ({brief(error)}).") from error


def read_processor(read: Callable[[str], Any]) -> Any:
    """Return the config of transformers' image processor, or None; `read` gives a named file parsed, or None."""
    several, alone = PROCESSOR_FILES
    parsed = read(several)
    nested = parsed.get("image_processor") if isinstance(parsed, Mapping) else None
    return read(alone) if nested is None else nested


def is_of_transformers(config: Any) -> bool:
    """Whether a config is that of transformers' own EfficientNet, which has its preprocessing in a second file."""
    return isinstance(config, Mapping) and config.get("model_type") == "efficientnet" and "architecture" not in config


def read_snapshot(config: Any, processor: Any, where: str) -> Snapshot:
    """Read what `config.json` and, for transformers, the image processor's hold, parsed; None for no such file.

    Raises:
        InputError: another architecture, or values that cannot be used.
    """
    if not isinstance(config, Mapping):
        raise InputError(f"{where}: its {CONFIG_FILE} names no timm architecture.")
    if isinstance(config.get("architecture"), str):
        return _of_timm(config, where)
    if is_of_transformers(config):
        preprocess, notes = preprocess_of_processor(processor, where)
        return Snapshot(
            preprocess=preprocess,
            odd_blocks=require_efficientnet(config, where),
            described=Described(class_names=class_names_of(config)),
            notes=notes,
        )
    if "model_type" in config:
        raise InputError(
            f"{where}: its {CONFIG_FILE} names no timm architecture. It is made for transformers (model_type "
            f"{brief(repr(config['model_type']))}); take timm's instead."
        )
    described = describe({"config": config})
    return Snapshot(described=described, notes=described.notes)


def _of_timm(config: Mapping[str, Any], where: str) -> Snapshot:
    architecture, pretrained = config["architecture"], config.get("pretrained_cfg") or {}
    if not isinstance(pretrained, Mapping):
        raise InputError(f"{where}: its pretrained_cfg is no mapping; take another revision of the repository.")
    tag = pretrained.get("tag") or ""
    untagged = isinstance(tag, str) and tag and "." not in architecture
    try:
        spec = resolve_variant(architecture)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    preprocess, notes = _preprocess(pretrained, where)
    said = ((name, config if name == "config" else config.get(name)) for name in ("config", *ARGUMENTS))
    of_network = [(name, entry) for name, entry in said if isinstance(entry, Mapping)]
    forward, about_network = read_forward(of_network)
    return Snapshot(
        spec=spec,
        architectures=(f"{architecture}.{tag}" if untagged else architecture,),
        preprocess=preprocess,
        described=Described(class_names=class_names_of(config), forward=forward),
        notes=(*notes, *about_network),
    )


def _preprocess(pretrained: Mapping[str, Any], where: str) -> tuple[Preprocess | None, tuple[str, ...]]:
    """Read timm's `pretrained_cfg`; what it leaves out is ImageNet's usual."""
    if "input_size" not in pretrained:
        return None, ()
    notes = []
    interpolation = pretrained.get("interpolation", "bicubic")
    if not isinstance(interpolation, str) or interpolation not in INTERPOLATIONS:
        notes.append(f"The config asks for {brief(repr(interpolation))} interpolation; bicubic is used.")
        interpolation = "bicubic"
    crop_mode = pretrained.get("crop_mode") or "center"
    if not isinstance(crop_mode, str) or crop_mode not in CROP_MODES:
        notes.append(
            f"The config asks for crop mode {brief(repr(crop_mode))}; the centre is cropped, which can "
            "cost a little accuracy on images that are not square."
        )
        crop_mode = "center"
    with usable(f"{where}: its pretrained_cfg", "take another revision of the repository."):
        size = pretrained["input_size"]
        side = square_side(size)
        if side is None:
            raise InputError(
                f"input_size {brief(size)}: need a square, as the network's input is; correct it, or of a network in "
                "memory pass preprocess="
            )
        geometry = by_crop_fraction(
            side,
            float(pretrained.get("crop_pct", 0.875)),
            interpolation,
            resize_mode=CROP_MODES[crop_mode],
        )
        mean, std = pretrained.get("mean", IMAGENET_MEAN), pretrained.get("std", IMAGENET_STD)
        return replace(geometry, mean=tuple(mean), std=tuple(std)), tuple(notes)
