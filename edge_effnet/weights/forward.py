"""What a file says of its network's forward pass, in timm's words: taken, or refused by name.

Tensors show none of it, so that a network with other settings would load without a complaint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_effnet.io.text import brief, listed_names

ARGUMENTS = ("model_args", "model_kwargs", "timm_kwargs", "backbone_kwargs")
"""Entries that hold arguments of the network and nothing else."""

_ACTIVATIONS = {"silu": "swish", "swish": "swish", "relu": "relu", "relu6": "relu6", "hardswish": "hardswish"}
_PADDINGS = {"": "symmetric", "same": "same"}

_POOLINGS = ("avg", "fast", "fastavg")
_FIXED: Mapping[str, tuple[object, ...]] = {
    "global_pool": _POOLINGS,
    "gp": _POOLINGS,
    "output_stride": (32,),
    "norm_layer": ("batchnorm", "batchnorm2d", "batchnormact2d", "frozenbatchnorm2d"),
    "se_layer": ("se", "squeezeexcite"),
    "aa_layer": (),
}
"""Arguments with one meaning here, by the values that have it; None and "" leave them at that, too."""

_ELSEWHERE = frozenset(
    {"num_classes", "in_chans", "num_features", "stem_size", "fix_stem", "channel_multiplier", "depth_multiplier"}
    | {"drop_rate", "drop_path_rate", "drop_connect_rate", "bn_momentum", "img_size", "input_size", "model_name"}
    | {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "device", "dtype"}
    | {"scriptable", "exportable", "no_jit"}
)
"""Arguments that the tensors show, other entries say, or inference does not see."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forward:
    """What was found."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """By fields of `edge_effnet.weights.containers.Built`; the origin has the others."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """What is not built here: by timm's argument, a sentence that continues the file's name."""

    def or_else(self, other: Forward) -> Forward:
        """Take the other's word where this one is silent."""
        return Forward(settings={**other.settings, **self.settings}, refused={**other.refused, **self.refused})


def read_forward(entries: Iterable[tuple[str, Mapping[Any, Any]]]) -> tuple[Forward, tuple[str, ...]]:
    """Read named mappings, the outermost first; the file itself has no name.

    Arguments of the network that are not known here give sentences for the user.
    """
    found, notes = Forward(), []
    for name, entry in entries:
        found = found.or_else(_read(entry, f"its {name}" if name else "it"))
        if name in ARGUMENTS:
            known = {"act_layer", "bn_eps", "bn_tf", "pad_type", *_FIXED, *_ELSEWHERE}
            unknown = [str(key) for key, value in entry.items() if key not in known and value is not None]
            if unknown:
                notes.append(
                    f"The file's {name} has {listed_names(unknown)}, not known here: ignored; where it changes what "
                    "the network computes, the float accuracy is lower than yours."
                )
    return found, tuple(notes)


def _read(entry: Mapping[Any, Any], where: str) -> Forward:
    said = {key: _plain(entry.get(key)) for key in (*_FIXED, "act_layer", "pad_type")}
    settings: dict[str, Any] = {}
    refused: dict[str, str] = {}

    def refuse(key: str, known: Iterable[object]) -> None:
        choices = ", ".join(map(str, known)) or "none"
        refused[key] = (
            f"{where} has {key} {brief(repr(entry[key]))}, which is not built here (known: {choices}); take a "
            "network without it, or correct that entry where it is wrong."
        )

    for key, field_name, table in (("act_layer", "activation", _ACTIVATIONS), ("pad_type", "padding", _PADDINGS)):
        value = said[key]
        if isinstance(value, str) and value in table:
            settings[field_name] = table[value]
        elif isinstance(value, str) and value:
            refuse(key, table)
    for key, known in _FIXED.items():
        value = said[key]
        if type(value) is (int if key == "output_stride" else str) and value not in ("", *known):
            refuse(key, known)
    # bn_tf is a switch of older releases of timm.
    eps: Any = 1e-3 if entry.get("bn_eps") is None and entry.get("bn_tf") is True else entry.get("bn_eps")
    if type(eps) in (int, float):
        if 0 < eps <= 1:
            settings["bn_eps"] = float(eps)
        else:
            refuse("bn_eps", ("a number above 0, at most 1",))
    return Forward(settings=settings, refused=refused)


def _plain(value: Any) -> Any:
    """`torch.nn.Hardswish` and `hard_swish` as one word."""
    return value.rpartition(".")[2].lower().replace("_", "") if isinstance(value, str) else value
