"""What timm's and torchvision's objects do with an image, as arguments of `edge_effnet.preprocess.Preprocess`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief

CROP_MODES = {"center": "shorter", "squash": "squash", "border": "pad"}
"""timm's names, and those of `edge_effnet.preprocess.RESIZE_MODES`."""

_TO_TENSOR = frozenset({"ToTensor", "PILToTensor", "ToImage", "ConvertImageDtype", "ToDtype", "MaybeToTensor"})
"""Pixels become numbers from 0 to 1."""

_MOST_IMAGE_CHANNELS = 4


def square_side(size: Any) -> int | None:
    """Side in pixels of what peers write: N, (N, N), (channels, N, N) or (N, N, channels); None of anything else."""
    sides = list(size) if isinstance(size, list | tuple) else [size]
    if not sides or not all(type(side) is int and side > 0 for side in sides):
        return None
    if len(sides) == 3:
        sides = sides[:2] if sides[1] != sides[2] <= _MOST_IMAGE_CHANNELS else sides[1:]
    return sides[0] if len(sides) < 3 and sides[0] == sides[-1] else None


def timm_arguments(model: Any) -> dict[str, Any]:
    """Read `pretrained_cfg`; what it leaves out is `Preprocess`'s default, as it is timm's. See `from_timm`."""
    config = model if isinstance(model, Mapping) else getattr(model, "pretrained_cfg", None)
    if not isinstance(config, Mapping) or "input_size" not in config:
        raise InputError(f"{type(model).__name__} has no pretrained_cfg of timm; build a Preprocess by its numbers.")
    size = config["input_size"]
    side = square_side(size)
    mode = config.get("crop_mode") or "center"
    if side is None or mode not in tuple(CROP_MODES):
        shown = "x".join(map(str, size[-2:])) if isinstance(size, list | tuple) else size
        raise InputError(
            f"timm's input of {brief(shown)} pixels by crop_mode {brief(repr(mode))}: need a square, and one of "
            f"{', '.join(CROP_MODES)}; build a Preprocess by its numbers where that is near enough."
        )
    statistics = {key: tuple(map(float, config[key])) for key in ("mean", "std") if key in config}
    interpolation = {key: config[key] for key in ("interpolation",) if key in config}
    resize = math.floor(side / config.get("crop_pct", 0.875))
    return {"crop": side, "resize": resize, "resize_mode": CROP_MODES[mode], **interpolation, **statistics}


def torchvision_arguments(transforms: Any) -> dict[str, Any]:
    """Read a member of a weights enum, its `transforms()`, or a `Compose`. See `from_torchvision`."""
    given = transforms
    transforms = transforms.transforms() if callable(getattr(transforms, "transforms", None)) else transforms
    steps = getattr(transforms, "transforms", None)
    try:
        if isinstance(steps, Iterable):
            return _composed(steps)
        (crop,), (resize,) = transforms.crop_size, transforms.resize_size
        return {
            "crop": crop,
            "resize": resize,
            "interpolation": transforms.interpolation.value,
            "mean": tuple(map(float, transforms.mean)),
            "std": tuple(map(float, transforms.std)),
        }
    except InputError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{type(given).__name__} is neither weights of torchvision nor transforms, which resize, crop and "
            "normalise; build a Preprocess by its numbers."
        ) from error


def _composed(steps: Iterable[Any]) -> dict[str, Any]:
    """Of `Compose`: without `Normalize` the network sees 0 to 1, without `Resize` images are taken as they are."""
    found: dict[str, Any] = {"resize_mode": "none", "mean": (0.0,) * 3, "std": (1.0,) * 3}
    for step in steps:
        match type(step).__name__:
            case "Resize" if "crop" not in found:
                found |= _resized(step)
            case "CenterCrop":
                found["crop"] = _square(step.size, "CenterCrop")
            case "Normalize":
                found |= {key: tuple(map(float, getattr(step, key))) for key in ("mean", "std")}
            case name if name not in _TO_TENSOR:
                where = "the transforms after CenterCrop" if name == "Resize" else "the transforms"
                raise InputError(
                    f"{name} among {where}: Preprocess knows Resize, CenterCrop, ToTensor and Normalize in this "
                    "order; give the transforms of evaluation."
                )
    if "resize" not in found and "crop" not in found:
        raise InputError(
            "the transforms say no size (neither Resize nor CenterCrop): build a Preprocess by its numbers."
        )
    if found["resize_mode"] == "shorter" and "crop" not in found:
        raise InputError(
            f"Resize({found['resize']}) without CenterCrop gives images that are not square; a network that saw "
            f"squares had Resize(({found['resize']}, {found['resize']})) or a crop."
        )
    return {"resize": found.get("crop"), "crop": found.get("resize"), **found}


def _resized(step: Any) -> dict[str, Any]:
    sides = step.size if isinstance(step.size, (list, tuple)) else [step.size]
    mode = "shorter" if len(sides) == 1 else "squash"
    return {
        "resize": sides[0] if mode == "shorter" else _square(sides, "Resize"),
        "resize_mode": mode,
        "interpolation": getattr(step.interpolation, "value", step.interpolation),
    }


def _square(size: Any, name: str) -> int:
    sides = size if isinstance(size, (list, tuple)) else [size]
    if len(set(sides)) != 1:
        raise InputError(f"{name}({tuple(sides)}): need a square, since the network's input is one.")
    return int(sides[0])
