"""Preprocessing as files, hubs and callers write it down: timm's arguments, `pretrained_cfg`, `--resize` and kin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from edge_effnet.errors import InputError
from edge_effnet.io.text import brief
from edge_effnet.peer_transforms import CROP_MODES, square_side
from edge_effnet.preprocess import INTERPOLATIONS, MAX_RESIZE, Preprocess
from edge_effnet.weights.inert import Array
from edge_effnet.weights.origins import by_crop_fraction, rescaled

_SIZES = ("input_size", "img_size", "image_size", "imgsz", "val_crop_size")
"""timm's, in its order; Ultralytics'; that of torchvision's references/classification/train.py."""

STATISTICS = {name: tuple(f"{word}{name}" for word in ("", "img_", "image_", "pixel_")) for name in ("mean", "std")}
"""Names under which files have mean and std."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resizing:
    """What is written down of a preprocessing; None where nothing is, which leaves the origin's."""

    where: str
    """Who says so, as messages begin."""
    size: int | None = None
    """Side of the square that the network sees, pixels."""
    crop_fraction: float | None = None
    """Of the resized shorter side."""
    resize: int | None = None
    """Length of the resized shorter side, pixels; comes before `crop_fraction`."""
    interpolation: str | None = None
    """A key of `edge_effnet.preprocess.INTERPOLATIONS`."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize_mode: str | None = None
    """One of `edge_effnet.preprocess.RESIZE_MODES`."""

    def or_else(self, other: Resizing) -> Resizing:
        """Take the other's word where this one is silent."""
        names = ("size", "crop_fraction", "resize", "interpolation", "mean", "std", "resize_mode")
        added = {name: getattr(other, name) for name in names if getattr(self, name) is None}
        if self.crop_fraction is not None:
            added.pop("resize", None)
        added = {name: value for name, value in added.items() if value is not None}
        also = f" with {other.where[0].lower()}{other.where[1:]}" if added else ""
        return replace(self, where=f"{self.where}{also}", **added)

    def applied(self, base: Preprocess) -> Preprocess:
        """Change a preprocessing to what is written down.

        Raises:
            InputError: values out of range.
        """
        changed = base if self.size is None else rescaled(base, self.size)
        if self.crop_fraction is not None:
            changed = replace(changed, resize=by_crop_fraction(changed.crop, self.crop_fraction).resize)
        try:
            return replace(
                changed,
                resize=self.resize or changed.resize,
                interpolation=self.interpolation or base.interpolation,
                mean=base.mean if self.mean is None else self.mean,
                std=base.std if self.std is None else self.std,
                resize_mode=self.resize_mode or base.resize_mode,
            )
        except InputError as error:
            raise InputError(f"{self.where} cannot be used: {error}") from error

    def __str__(self) -> str:
        """As a note shows it."""
        names = ("size", "crop_fraction", "resize", "interpolation", "mean", "std", "resize_mode")
        words = {"crop_fraction": "crop", "resize_mode": "resize mode"}
        found = [(words.get(name, name), getattr(self, name)) for name in names]
        return ", ".join(f"{word} {value}" for word, value in found if value is not None)


def read_resizing(entry: Mapping[Any, Any], where: str, notes: list[str]) -> Resizing | None:
    """Read what timm's or torchvision's `train.py` parsed, or a dict with such keys; None of nothing about images.

    `notes` gets a sentence, which begins with `where`, about each value that cannot be used.
    """
    sizes = [_size(entry.get(key), where, key, notes) for key in _SIZES]
    mean, std = _statistics(entry, where, notes)
    found = Resizing(
        where=where,
        size=next((size for size in sizes if size is not None), None),
        crop_fraction=_number(entry.get("crop_pct")),
        resize=_size(entry.get("val_resize_size"), where, "val_resize_size", notes),
        interpolation=_interpolation(entry.get("interpolation"), where, notes),
        mean=mean,
        std=std,
        resize_mode=_mode(entry.get("crop_mode"), where, notes),
    )
    return found if str(found) else None


def _size(value: Any, where: str, name: str, notes: list[str]) -> int | None:
    """A side in pixels; None for no number, and for no square, with a note."""
    side = square_side(value)
    if side is None and isinstance(value, list | tuple) and value:
        notes.append(
            f"{where} has {name} {brief(list(value))}, which is not a square, as the network's input is here: "
            "ignored; --image-size says the side."
        )
    return side


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 < value <= 1 else None


def _interpolation(value: Any, where: str, notes: list[str]) -> str | None:
    if not isinstance(value, str) or value in ("", "random"):
        return None
    if value not in INTERPOLATIONS:
        notes.append(f"{where} asks for {brief(repr(value))} interpolation, which is not known here: ignored.")
        return None
    return value


def _mode(value: Any, where: str, notes: list[str]) -> str | None:
    if not isinstance(value, str) or value in CROP_MODES:
        return CROP_MODES[value] if isinstance(value, str) else None
    notes.append(f"{where} asks for the crop mode {brief(repr(value))}, which is not known here: ignored.")
    return None


def _statistics(
    entry: Mapping[Any, Any], where: str, notes: list[str]
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and std for pixels from 0 to 1; one number, of gray images, counts only where both are of one."""
    said = {name: [entry[key] for key in keys if entry.get(key) is not None] for name, keys in STATISTICS.items()}
    found = {name: _numbers(values[0], where, name, notes) for name, values in said.items() if values}
    rows = {name: row for name, row in found.items() if row is not None}
    if {len(row) for row in rows.values()} != {1} or len(rows) == 1:
        for name, row in list(rows.items()):
            if len(row) == 1:
                notes.append(f"{where} has one number as {name}, where an image has three channels: ignored.")
                del rows[name]
    # With one of the two alone it is not known whether the other is of pixels from 0 to 255, too.
    unit = of_unit_pixels(rows.get("mean", (0.0,)), rows.get("std", (1.0,)))
    if unit is None or (len(rows) == 1 and unit[2] != 1):
        notes.append(
            f"{where} has {' and '.join(f'{name} {brief(list(row))}' for name, row in rows.items())}, neither for "
            "pixels from 0 to 1 nor, mean and std both, from 0 to 255: ignored."
        )
        return None, None
    return unit[0] if "mean" in rows else None, unit[1] if "std" in rows else None


def _numbers(value: Any, where: str, name: str, notes: list[str]) -> tuple[float, ...] | None:
    if isinstance(value, torch.Tensor):
        plain = type(value) is torch.Tensor and value.layout == torch.strided and value.device.type == "cpu"
        value = value.flatten().tolist() if plain and not value.is_quantized and value.numel() <= 3 else ()
    value = value.values if isinstance(value, Array) else value
    if not isinstance(value, list | tuple):
        return None
    if len(value) in (1, 3) and all(type(number) in (int, float) for number in value):
        return tuple(value)
    notes.append(f"{where} has a {name} of {brief(value)}, which is no three numbers: ignored.")
    return None


def of_unit_pixels(
    mean: Sequence[float], std: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...], float] | None:
    """Return mean and std for pixels from 0 to 1, and the range of those that they are for: 1 or 255.

    None where they fit neither: no mean or deviation of 0 to 1 comes near 5, those of 0 to 255 do.
    """
    largest = max(*mean, *std)
    scale = 1.0 if largest <= 1 else 255.0
    within = all(-scale <= value <= scale for value in mean) and all(0 < value <= scale for value in std)
    if not within or 1 < largest <= 5:
        return None
    means, stds = (tuple(row if scale == 1 else (round(v / scale, 6) for v in row)) for row in (mean, std))
    return means, stds, scale


_SIDE = re.compile(r"(\d{1,5})(?:[xX](\d{1,5}))?")

_AS_THEY_ARE = "none"
_USUAL = "shorter"


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """What is asked for; None keeps what the weights have.

    Raises:
        InputError: names or numbers out of range, or two wishes that contradict each other.
    """

    resize: int | str | None = None
    """N for the side that `resize_mode` scales; "HxW" for `Resize((H, W))`, which squashes; "none" for images that
    have the network's size already."""
    crop: int | None = None
    """Side of the square that the network sees, pixels."""
    interpolation: str | None = None
    """A key of `edge_effnet.preprocess.INTERPOLATIONS`."""
    resize_mode: str | None = None
    """One of `edge_effnet.preprocess.RESIZE_MODES`."""
    image_size: int | None = None
    """The same as `crop`; without `resize` the weights' resizing grows or shrinks with it."""

    def __post_init__(self) -> None:
        if None not in (self.crop, self.image_size) and self.crop != self.image_size:
            raise InputError(
                f"--crop {self.crop} and --image-size {self.image_size} both name the side of the network's input; "
                "leave one out."
            )
        side, implied = self._asked()
        contradicted = implied == _AS_THEY_ARE != self.resize_mode or (
            implied == "squash" and self.resize_mode in (_USUAL, _AS_THEY_ARE)
        )
        if self.resize_mode is not None and contradicted:
            raise InputError(
                f"--resize {self.resize} and --resize-mode {self.resize_mode} contradict each other: HxW scales both "
                "sides, none neither; leave one of the two out."
            )
        crop = self.crop if self.crop is not None else self.image_size
        # Its own checks name what is out of range.
        self._with(
            Preprocess(crop=1, resize=1),
            crop=1 if crop is None else crop,
            resize=MAX_RESIZE if side is None else side,
            mode=self.resize_mode or implied or _USUAL,
        )

    def __bool__(self) -> bool:
        """Whether anything but `image_size` is asked for."""
        return replace(self, image_size=None) != Geometry()

    def applied(self, base: Preprocess) -> Preprocess:
        """Change a preprocessing, which is for `image_size` already, to what is asked for.

        Raises:
            InputError: values that do not fit together.
        """
        side, implied = self._asked()
        mode = self.resize_mode or implied or base.resize_mode
        crop = self.crop or self.image_size
        if self.resize_mode and side is None and base.resize != (crop or base.crop) and mode != base.resize_mode:
            raise InputError(
                f"--resize-mode {mode}: say to what size, such as --resize {crop or base.crop}; the weights' own "
                f"{base.resize} pixels are of the resize mode {base.resize_mode}."
            )
        if crop is None:
            # Resize((256, 256)) alone gives the network 256 pixels; Resize(256) comes with a crop.
            crop = side if side is not None and mode != _USUAL else base.crop
        resize = crop if side is None and mode == _AS_THEY_ARE else side or base.resize
        if crop > resize:
            raise InputError(
                f"images are scaled to {resize} pixels, and the network sees {crop} of them: give --crop of at most "
                f"{resize} or --resize of at least {crop}."
            )
        return self._with(base, crop=crop, resize=resize, mode=mode)

    def _with(self, base: Preprocess, *, crop: int, resize: int, mode: str) -> Preprocess:
        interpolation = base.interpolation if self.interpolation is None else self.interpolation
        return replace(base, crop=crop, resize=resize, resize_mode=mode, interpolation=interpolation)

    def _asked(self) -> tuple[int | None, str | None]:
        """The side, and the mode that goes without saying; None for what `resize` does not tell."""
        if self.resize is None:
            return None, None
        if self.resize == _AS_THEY_ARE:
            return None, _AS_THEY_ARE
        found = _SIDE.fullmatch(str(self.resize))
        if found is None or found[2] not in (None, found[1]):
            raise InputError(
                f"--resize {brief(str(self.resize))}: need N (the side that --resize-mode scales), HxW of a square, "
                "since the network's input is one (both sides, squashed), or none (images as they are)."
            )
        return int(found[1]), "squash" if found[2] else None
