"""What a file says about its own network, at any depth: architecture, class names, preprocessing."""

from __future__ import annotations

import argparse
import functools
import json
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from edge_effnet.weights.forward import ARGUMENTS, Forward, read_forward
from edge_effnet.weights.inert import Array, Config, Holder
from edge_effnet.weights.resizing import STATISTICS, Resizing, read_resizing

CLASS_NAME_KEYS = (
    *("class_names", "classes", "class_to_idx", "idx_to_class", "idx2label", "id2label", "label2id", "class_labels"),
    *("categories", "label_names", "classes_", "label_encoder"),
)
_ONE = r"(?:class|label|name|category|target)"
_INDEX = r"(?:idx|index|id|int|num)"
_LIKELY_KEY = re.compile(
    rf"(?:{_ONE}(?:e?s)?_?(?:names?|list|map|mapping|dict|vocab)?|categories|vocab|itos|stoi"
    rf"|{_INDEX}_?(?:2|to)_?{_ONE}(?:e?s)?|{_ONE}(?:e?s)?_?(?:2|to)_?{_INDEX})"
)
"""Entries that hold class names where they fit the classifier, and many other things where they do not."""

ARCHITECTURE_KEYS = (
    *("arch", "architecture", "model", "model_name", "model_arch", "backbone", "backbone_name", "encoder_name"),
    *("encoder", "net", "network", "variant", "timm_model", "timm_name", "base_model", "name"),
)
_DEFAULT_KEYS = ("pretrained_cfg", "default_cfg")
"""Entries of what the network was published with; others beside them are of its own training."""
SETTINGS_KEYS = (
    *("args", "hyper_parameters", "hparams", "config", "cfg", "datamodule_hyper_parameters"),
    *("data_config", "data", "dataset", "meta", "metadata", "preprocessing", "preprocess", "normalization"),
    *_DEFAULT_KEYS,
)
"""Entries whose `img_size`, `mean`, `std`, ... are those of the images; so are the outermost ones."""

_PLACEHOLDER = re.compile(r"LABEL_\d+")
"""What transformers calls classes that nobody named."""

_MAX_DEPTH = 6
_MAX_NODES = 10_000
_MAX_JSON = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Described:
    """What was found."""

    architectures: tuple[str, ...] = ()
    """Names of the architecture, the outermost first."""
    class_names: tuple[str, ...] | None = None
    """In order of the class index."""
    likely_names: tuple[tuple[str, tuple[str, ...] | None], ...] = ()
    """Other entries that may be class names, as messages name them; None for no names in an order."""
    resizing: Resizing | None = None
    """What images went through."""
    forward: Forward = field(default_factory=Forward)
    """What the network does beside its variant."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""

    def or_else(self, other: Described) -> Described:
        """Take the other's word where this one is silent; notes are this one's."""
        return replace(
            self,
            architectures=(*self.architectures, *other.architectures),
            class_names=self.class_names or other.class_names,
            likely_names=(*self.likely_names, *other.likely_names),
            resizing=_merged(self.resizing, other.resizing),
            forward=self.forward.or_else(other.forward),
        )


def _merged(first: Resizing | None, second: Resizing | None) -> Resizing | None:
    return first.or_else(second) if first and second else first or second


def describe(outer: Mapping[Any, Any]) -> Described:
    """Read what stands around a state dict, in dicts, parsed arguments and JSON; each one's outermost word counts."""
    if _holds_weights(outer):
        outer = {key: value for key, value in outer.items() if not isinstance(value, torch.Tensor)}
    entries = list(_entries(outer))
    notes: list[str] = []
    class_names = _class_names(entries, notes)
    settings = [(name, entry) for name, entry in entries if not name or name in SETTINGS_KEYS]
    of_images = sorted(settings, key=lambda entry: entry[0] in _DEFAULT_KEYS)
    said = [read_resizing(entry, f"The file's {name}" if name else "The file", notes) for name, entry in of_images]
    of_network = [(name, entry) for name, entry in entries if not name or name in (*SETTINGS_KEYS, *ARGUMENTS)]
    forward, unknown = read_forward(of_network)
    return Described(
        architectures=tuple(_architectures(entries)),
        class_names=class_names,
        likely_names=tuple(_likely_names(settings)),
        resizing=functools.reduce(_merged, said, None),
        forward=forward,
        notes=(*notes, *unknown),
    )


def _entries(outer: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield every mapping in the file that holds no weights, with its key, breadth first; the outermost has none."""
    level: list[tuple[str, Mapping[Any, Any]]] = [("", outer)]
    seen = 0
    for _ in range(_MAX_DEPTH):
        following = []
        for name, entry in level:
            yield name, entry
            for key, value in entry.items():
                seen += 1
                if seen > _MAX_NODES:
                    return
                inner = _as_mapping(value)
                if inner and isinstance(key, str) and not _holds_weights(inner):
                    following.append((key, inner))
        level = following


def is_statistic(name: str) -> bool:
    """Whether a tensor's dotted name is that of images' mean or std, which `describe` reads: `normalization.mean`."""
    above, _, key = name.rpartition(".")
    return above.rpartition(".")[2] in SETTINGS_KEYS and any(key in keys for keys in STATISTICS.values())


def _holds_weights(entry: Mapping[Any, Any]) -> bool:
    """Whether it has tensors with rows other than the mean and std of images."""
    statistics = [key for keys in STATISTICS.values() for key in keys]
    return any(isinstance(v, torch.Tensor) and v.ndim > 1 and key not in statistics for key, v in entry.items())


def _as_mapping(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Config):
        value = value.plain()
    elif isinstance(value, argparse.Namespace | Holder):
        return vars(value)
    parsed = _parsed(value) if isinstance(value, str) and value.startswith("{") else value
    return parsed if isinstance(parsed, Mapping) else None


def _architectures(entries: list[tuple[str, Mapping[Any, Any]]]) -> Iterator[str]:
    for name, entry in entries:
        for key in ARCHITECTURE_KEYS:
            value = entry.get(key)
            # Anything can have a name: that of a network stands at the top, or below one of these words.
            if key == "name" and name not in ARCHITECTURE_KEYS:
                continue
            if isinstance(value, str) and (not name or "efficientnet" in value.lower()):
                yield value


def _class_names(entries: list[tuple[str, Mapping[Any, Any]]], notes: list[str]) -> tuple[str, ...] | None:
    for name, entry in entries:
        for key in CLASS_NAME_KEYS:
            value = entry.get(key)
            if value is None or (isinstance(value, str | list | tuple | Mapping) and not value):
                continue
            names = ordered_names(value)
            if names is not None:
                return None if all(map(_PLACEHOLDER.fullmatch, names)) else names
            if not name or (name in SETTINGS_KEYS and isinstance(value, list | tuple | set | Mapping | Array)):
                where = f"{name}.{key}" if name else key
                notes.append(
                    f"The file's {where!r} is neither a list of names nor a mapping between names and the indices "
                    "0, 1, 2, ...: ignored."
                )
    return None


def _likely_names(
    entries: list[tuple[str, Mapping[Any, Any]]],
) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    for name, entry in entries:
        for key, value in entry.items():
            if not isinstance(key, str) or key in CLASS_NAME_KEYS or not _LIKELY_KEY.fullmatch(key.lower()):
                continue
            names = ordered_names(value)
            if names or isinstance(_parsed(value), Mapping):
                yield f"{name}.{key}" if name else key, names


def class_names_of(config: Mapping[Any, Any]) -> tuple[str, ...] | None:
    """Read the class names of a hub's config."""
    return _class_names([("config", config)], [])


def _parsed(value: Any) -> Any:
    """Read JSON where a file can hold only strings, as safetensors' metadata does."""
    if not isinstance(value, str):
        return value
    if len(value) > _MAX_JSON:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def ordered_names(value: Any) -> tuple[str, ...] | None:
    """Accept names in a list, an array or a LabelEncoder, {name: index} or {index: name}.

    Two classes may share one name, as in ImageNet.
    """
    value = value.plain() if isinstance(value, Config) else _parsed(value)
    if isinstance(value, Holder):
        value = vars(value).get("classes_")
    if isinstance(value, Array):
        value = [str(item) if type(item) is int else item for item in value.values]
    if isinstance(value, Mapping) and isinstance(value.get("classes_"), Array | list):
        return ordered_names(value["classes_"])
    if isinstance(value, Mapping):
        by_name = all(isinstance(index, int) for index in value.values())
        pairs = [(index, name) for name, index in value.items()] if by_name else list(value.items())
        try:
            # JSON can hold an index as a string only.
            by_index = {int(key) if isinstance(key, str) else operator.index(key): name for key, name in pairs}
        except (TypeError, ValueError, RuntimeError):
            return None
        if sorted(by_index) != list(range(len(value))):
            return None
        value = [by_index[index] for index in range(len(value))]
    if not isinstance(value, list | tuple) or not value:
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None
